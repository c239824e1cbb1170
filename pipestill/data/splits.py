"""Raw rows to records: unusable and repeated rows are set aside, the rest is divided into splits."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from pipestill import files
from pipestill.config import SplitsConfig
from pipestill.data import RAW_DATA, RAW_MANIFEST
from pipestill.data.raw import read_rows
from pipestill.errors import UserError
from pipestill.records import SPLITS, Record, normalise, write_jsonl
from pipestill.tasks import TASKS, BadRow, Task

LISTED = 100  # bad rows that the manifest lists one by one


@dataclass
class Reading:
    """What was read: usable records without a split, and what was set aside."""

    records: list[Record]
    rows: int
    bad: list[dict[str, Any]]
    repeated: int
    contradictory: int

    def manifest(self) -> dict[str, Any]:
        """Counts for the manifest; bad rows by line, the first ``LISTED`` of them."""
        return {
            "rows": self.rows,
            "bad_rows": len(self.bad),
            "bad_rows_by_reason": dict(sorted(Counter(row["reason"] for row in self.bad).items())),
            "bad_rows_listed": self.bad[:LISTED],
            "repeated_rows": self.repeated,
            "repeated_with_another_label": self.contradictory,
        }


def read_records(task: Task, rows: Iterable[tuple[int, dict[str, Any] | BadRow]]) -> Reading:
    """Parse ``rows`` (line number, row); a text that was seen before is dropped, so that splits cannot share it."""
    reading = Reading([], 0, [], 0, 0)
    first_label: dict[str, str | None] = {}
    for line, row in rows:
        reading.rows += 1
        try:
            if isinstance(row, BadRow):
                raise row
            example = task.parse(row)
        except BadRow as reason:
            reading.bad.append({"line": line, "reason": str(reason)})
            continue
        key = normalise(example.text)
        if key in first_label:
            reading.repeated += 1
            reading.contradictory += first_label[key] != example.label
            continue
        first_label[key] = example.label
        reading.records.append(
            {
                "id": f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}",
                "split": None,
                "text": example.text,
                "prompt": task.prompt(example.text),
                "target": example.target,
                "label": example.label,
                "meta": {"line": line},
            }
        )
    return reading


def check_bad_share(reading: Reading, max_share: float, name: str) -> None:
    """Refuse data of which more than ``max_share`` is unusable.

    Raises:
        UserError: with the counts and the first bad lines.
    """
    if reading.rows == 0:
        raise UserError(f"{name} holds no rows")
    if len(reading.bad) / reading.rows > max_share:
        first = "; ".join(f"line {row['line']}: {row['reason']}" for row in reading.bad[:3])
        raise UserError(
            f"{name}: {len(reading.bad)} of {reading.rows} rows are unusable, more than `max_bad_share` "
            f"{max_share:g} allows ({first})"
        )


def assign_splits(records: list[Record], labels: tuple[str, ...], config: SplitsConfig) -> None:
    """Give every record its split: test and validation equal per class, the rest to teacher and train.

    Raises:
        UserError: a class has too few rows, or a split would have none.
    """
    sizes = {
        "test": _per_class(config, "test", len(records), len(labels)),
        "validation": _per_class(config, "val", len(records), len(labels)),
    }
    for label in labels:
        members = [record for record in records if record["label"] == label]
        rest = len(members) - sum(sizes.values())
        if rest < 1:
            raise UserError(
                f"class {label!r} has {len(members)} rows: too few for {sizes['test']} test and "
                f"{sizes['validation']} validation rows and some to train on; ask for fewer per class"
            )
        n_teacher = round(config.teacher_share * rest)
        if n_teacher == rest or (config.teacher_share > 0 and n_teacher == 0):
            raise UserError(
                f"class {label!r} has {len(members)} rows: after test and validation {n_teacher} are left to train the "
                f"teacher and {rest - n_teacher} to train students; change `teacher_share` {config.teacher_share:g}, "
                "or ask for fewer test and validation rows per class"
            )
        Random(f"splits {config.seed} {label}").shuffle(members)
        for split, size in sizes.items():
            for _ in range(size):
                members.pop()["split"] = split
        for number, record in enumerate(members):
            record["split"] = "teacher" if number < n_teacher else "train"


def _per_class(config: SplitsConfig, key: str, n_rows: int, n_labels: int) -> int:
    if (size := getattr(config, f"{key}_per_class")) is not None:
        return size
    share = getattr(config, f"{key}_frac")
    size = round(share * n_rows / n_labels)
    if size == 0:
        raise UserError(
            f"`{key}_frac` {share:g} of {n_rows} rows is none for each of {n_labels} classes; "
            f"raise it, or give `{key}_per_class`"
        )
    return size


def count_splits(records: list[Record]) -> dict[str, dict[str, int]]:
    """Rows of each split by label."""
    return {
        split: dict(sorted(Counter(record["label"] for record in records if record["split"] == split).items()))
        for split in SPLITS
    }


def make_records(
    name: str, config: SplitsConfig, max_bad_share: float, raw: Path, records: Path, manifest: Path
) -> None:
    """Read the directory ``raw`` and write ``records`` and ``manifest``.

    Raises:
        UserError: too many rows are unusable, or a class has too few rows.
    """
    task, data = TASKS[name], Path(raw) / RAW_DATA
    facts = files.read_json(Path(raw) / RAW_MANIFEST)
    reading = read_records(task, read_rows(data))
    check_bad_share(reading, max_bad_share, facts.get("origin", str(data)))
    assign_splits(reading.records, task.labels, config)
    write_jsonl(records, reading.records)
    files.write_json(
        manifest,
        {
            "task": name,
            "raw": facts,
            **reading.manifest(),
            "splits": count_splits(reading.records),
            "records_sha256": files.sha256(records),
        },
    )
    n_records, n_bad = len(reading.records), len(reading.bad)
    print(f"{n_records} records of {reading.rows} rows; {n_bad} unusable, {reading.repeated} repeated")
