"""Raw rows to records without a split: unusable and repeated rows are set aside."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipestill.errors import UserError
from pipestill.io.records import Json, Record, normalise
from pipestill.layouts.base import Content
from pipestill.layouts.example import BadRow, Example

LISTED = 100  # bad rows that the manifest lists one by one


@dataclass
class Reading:
    """Rows of one file: usable records without a split, and a count of the rows set aside."""

    records: list[Record]
    rows: int
    bad: list[Json]
    repeated: int
    contradictory: int

    def manifest(self) -> Json:
        """Counts for the manifest; bad rows by line or file, the first ``LISTED`` of them."""
        return {
            "rows": self.rows,
            "bad_rows": len(self.bad),
            "bad_rows_by_reason": dict(sorted(Counter(row["reason"] for row in self.bad).items())),
            "bad_rows_listed": self.bad[:LISTED],
            "repeated_rows": self.repeated,
            "repeated_with_another_target": self.contradictory,
        }

    def summary(self, name: str, others: int, unit: str) -> str:
        """The counts in a line: ``others`` are dropped, since other splits or files have them."""
        return (
            f"{name}{len(self.records) - others} records of {self.rows} {unit}; {len(self.bad)} unusable, "
            f"{self.repeated} repeated, {others} found elsewhere"
        )


def read_examples(
    task: Content, rows: Iterable[tuple[int | str, Json | BadRow]], test_set: str | None = None
) -> Reading:
    """Parse ``rows``; a question that was seen before is dropped, so that splits cannot share it.

    Args:
        task: that they are of.
        rows: line number or file name, and row.
        test_set: the test set that the rows are of; the same question may be in several of them.
    """
    reading = Reading([], 0, [], 0, 0)
    first_target: dict[str, str] = {}
    for place, row in rows:
        reading.rows += 1
        try:
            if isinstance(row, BadRow):
                raise row
            example = task.parse(row)
        except BadRow as reason:
            reading.bad.append({**_at(place), "reason": str(reason)})
            continue
        question = normalise("\n".join(example.inputs.values()))
        if question in first_target:
            reading.repeated += 1
            reading.contradictory += first_target[question] != example.target
            continue
        first_target[question] = example.target
        reading.records.append(_record(task, example, question, place, test_set))
    return reading


def _at(place: int | str) -> dict[str, int | str]:
    return {"line": place} if isinstance(place, int) else {"file": place}


def _record(task: Content, example: Example, question: str, place: int | str, test_set: str | None) -> Record:
    key = question if test_set is None else f"{test_set}\n{question}"
    return Record(
        id=f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}",
        split=None,
        inputs=dict(example.inputs),
        target=example.target,
        references=list(example.references or (example.target,)),
        test_set=test_set or example.test_set,
        rationale=example.rationale,
        group=example.group,
        meta={**_at(place), **example.meta},
    )


def check_bad_share(reading: Reading, max_share: float, name: str) -> None:
    """Refuse data of which more than ``max_share`` is unusable.

    Raises:
        UserError: with the counts and the first bad lines.
    """
    if reading.rows == 0:
        raise UserError(f"{name} holds no rows")
    if len(reading.bad) / reading.rows > max_share:
        places = (row.get("file") or f"line {row['line']}" for row in reading.bad)
        first = "; ".join(f"{place}: {row['reason']}" for place, row in zip(places, reading.bad[:3], strict=False))
        raise UserError(
            f"{name}: {len(reading.bad)} of {reading.rows} rows are unusable, more than `max_bad_share` "
            f"{max_share:g} allows ({first})"
        )
