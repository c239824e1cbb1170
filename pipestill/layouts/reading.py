"""Raw rows to records without a split: unusable and repeated rows are set aside."""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np

from pipestill.errors import UserError
from pipestill.io.digests import hash_of
from pipestill.io.files import dump_compact
from pipestill.io.normal import normalise, texts_in
from pipestill.io.records import Json, Record
from pipestill.io.sequences import Chosen, Spool, first_of_each
from pipestill.layouts.base import Content, DataOptions
from pipestill.layouts.columns import Columns, Row
from pipestill.layouts.example import BadRow, Example, LeftOut

LISTED = 100  # bad rows that the manifest lists one by one


class Reading:
    """Rows of one file: usable records without a split, and counts of the rows set aside.

    Rows that are left out are none of the task's, as it says by reason; they are not bad. Usable ones wait on disk, in
    the directory of temporary files; memory holds 25 bytes of each, and twice as much while repeated ones are found.

    Attributes:
        rows: that there are.
        bad: the first ``LISTED`` of those that cannot be used, by line or file.
        reasons: why rows cannot be used.
        left_out: rows that are none of the task's, by reason.
        columns: of all rows.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.bad: list[Json] = []
        self.reasons: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.columns = Columns()
        self._usable: Spool[Record] = Spool(_line, _record_of)
        self._questions, self._targets = array("Q"), array("q")

    def add(self, record: Record, question: int) -> None:
        """Keep a usable row that asks ``question``, which is a hash."""
        self._usable.append(record)
        self._questions.append(question)
        self._targets.append(hash(record.target))

    @cached_property
    def _firsts(self) -> np.ndarray:
        """Where the first row with the same question stands, of each usable row."""
        return first_of_each(np.frombuffer(self._questions, dtype=np.uint64))

    @cached_property
    def _kept(self) -> np.ndarray:
        return np.flatnonzero(self._firsts == np.arange(len(self._firsts)))

    @property
    def records(self) -> Chosen[Record]:
        """The first row of each question, in order."""
        return Chosen(self._usable, self._kept)

    @property
    def questions(self) -> np.ndarray:
        """Hashes of their questions, ``[records]``."""
        return np.frombuffer(self._questions, dtype=np.uint64)[self._kept]

    @property
    def unusable(self) -> int:
        """Rows that cannot be used."""
        return self.reasons.total()

    @property
    def repeated(self) -> int:
        """Usable rows whose question was there before."""
        return len(self._usable) - len(self._kept)

    @property
    def contradictory(self) -> int:
        """Those of them that have another answer."""
        targets = np.frombuffer(self._targets, dtype=np.int64)
        return int((targets != targets[self._firsts]).sum())

    def manifest(self) -> Json:
        """Counts for the manifest; bad rows by line or file, the first ``LISTED`` of them."""
        return {
            "rows": self.rows,
            "bad_rows": self.unusable,
            "bad_rows_by_reason": dict(sorted(self.reasons.items())),
            "bad_rows_listed": self.bad,
            "left_out_rows": self.left_out.total(),
            "left_out_rows_by_reason": dict(sorted(self.left_out.items())),
            "repeated_rows": self.repeated,
            "repeated_with_another_target": self.contradictory,
        }

    def summary(self, name: str, others: int, unit: str) -> str:
        """The counts in a line: ``others`` are dropped, since other splits or files have them."""
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(self.left_out.items()))
        left_out = f", {self.left_out.total()} left out ({reasons})" if reasons else ""
        return (
            f"{name}{len(self.records) - others} records of {self.rows} {unit}; {self.unusable} unusable, "
            f"{self.repeated} repeated, {others} found elsewhere{left_out}"
        )

    def check(self, options: DataOptions, name: str) -> None:
        """Refuse a file without rows, with columns that a task should read and does not, or with too many bad rows.

        Args:
            options: say how columns are called, and how many rows may be bad.
            name: of the file.

        Raises:
            UserError: with the counts and the first bad lines.
        """
        if self.rows == 0:
            raise UserError(f"{name} holds no rows")
        self.columns.check(options.columns, options.ignored_columns, name)
        own = self.rows - self.left_out.total()
        if self.bad and self.unusable / own > options.max_bad_share:
            places = (row.get("file") or f"line {row['line']}" for row in self.bad)
            first = "; ".join(f"{place}: {row['reason']}" for place, row in zip(places, self.bad[:3], strict=False))
            hint = "" if self.records else self.columns.hint()
            raise UserError(
                f"{name}: {self.unusable} of {own} rows are unusable, more than `max_bad_share` "
                f"{options.max_bad_share:g} allows ({first}){hint}"
            )


def read_examples(
    task: Content,
    rows: Iterable[tuple[int | str, Json | BadRow]],
    test_set: str | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Reading:
    """Parse ``rows``; a question that was seen before is dropped, so that splits cannot share it.

    Args:
        task: that they are of.
        rows: line number or file name, and row.
        test_set: the test set that the rows are of; the same question may be in several of them.
        columns: names of columns by the task's names for them.
    """
    reading = Reading()
    for place, row in rows:
        reading.rows += 1
        try:
            example = _parse(task, row, columns, reading.columns)
        except BadRow as reason:
            reading.reasons[str(reason)] += 1
            if len(reading.bad) < LISTED:
                reading.bad.append({**_at(place), "reason": str(reason)})
            continue
        except LeftOut as reason:
            reading.left_out[str(reason)] += 1
            continue
        question = normalise("\n".join(example.inputs.values()))
        reading.add(_record(task, example, question, place, test_set), hash_of(question))
    return reading


def _line(record: Record) -> bytes:
    return f"{dump_compact(vars(record))}\n".encode()


def _record_of(line: bytes) -> Record:
    return Record(**json.loads(line))


def _parse(task: Content, content: Json | BadRow, columns: Mapping[str, str], counts: Columns) -> Example:
    """The example that a row holds.

    Raises:
        BadRow: it holds none.
        LeftOut: it is none of the task's.
    """
    if isinstance(content, BadRow):
        raise content
    try:
        row = Row(content, columns)
    except ValueError as error:
        raise BadRow(str(error)) from None
    usable = False
    try:
        example = task.parse(row)
        _check(example)
        usable = True
    except KeyError as error:
        raise BadRow(f"`{row.called(error.args[0])}` is missing") from None
    except BadRow:
        raise
    except (TypeError, ValueError, AttributeError) as error:  # a number or a list where the task reads text
        raise BadRow(f"not a row of this task ({error})") from None
    finally:
        counts.count(row, usable)
    return example


def _check(example: Example) -> None:
    """Refuse an example that is not text, that says nothing, or with characters that no text has."""
    texts = [*example.inputs.values(), example.target, *example.references]
    more = [example.test_set, example.subset, example.group, example.rationale, example.rejected]
    if not all(isinstance(text, str) for text in [*texts, *(each for each in more if each is not None)]):
        raise BadRow("a number, a list or an object where text is expected")
    if not any(text.strip() for text in example.inputs.values()):
        raise BadRow("empty text")
    if not example.target.strip():
        raise BadRow("empty answer")
    if any("\0" in text for text in texts_in([*texts, example.rationale, example.rejected])):
        raise BadRow("a NUL character")


def _at(place: int | str) -> dict[str, int | str]:
    return {"line": place} if isinstance(place, int) else {"file": place}


def id_of(task: Content, question: str) -> str:
    """Key of the record that asks a question."""
    return f"{task.name}-{hash_of(question):016x}"


def _record(task: Content, example: Example, question: str, place: int | str, test_set: str | None) -> Record:
    return Record(
        id=id_of(task, question if test_set is None else f"{test_set}\n{question}"),
        split=None,
        inputs=dict(example.inputs),
        target=example.target,
        references=list(example.references or (example.target,)),
        test_set=test_set or example.test_set,
        subset=example.subset,
        rationale=example.rationale,
        rejected=example.rejected,
        group=example.group,
        meta={**_at(place), **example.meta},
    )
