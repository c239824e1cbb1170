"""Rows of one file in any usual format, for tasks that the configuration declares."""

from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipestill.errors import UserError
from pipestill.io.records import SPLITS
from pipestill.io.texts import Text
from pipestill.layouts.base import Content
from pipestill.layouts.decoding import text_of
from pipestill.layouts.raw import json_rows
from pipestill.layouts.rows import Rows, RowsData, divide
from pipestill.layouts.tables import TableRows, plain_rows, separator, table_rows

PARQUET = b"PAR1"
LOOKED_AT = 50_000  # rows of a file that are looked at before a run


def read_any(path: Path, name: str) -> TableRows:
    """Rows of a CSV or TSV table, JSON Lines, a JSON list or Parquet, known by their content; each with its line, or
    its number in Parquet.

    Args:
        path: of the file.
        name: that a refusal calls it by.

    Raises:
        UserError: the file is missing, none of these, or holds nothing.
    """
    if not Path(path).is_file():
        fault = "is a directory" if Path(path).is_dir() else "does not exist"
        raise UserError(f"{name} {fault}; put the data there, or name another file")
    with open(path, "rb") as file:
        if file.read(len(PARQUET)) == PARQUET:
            return _of_parquet(path, name)
    text = text_of(Path(path), name)
    start = text.start().lstrip()[:1]
    if not start:
        raise UserError(f"{name} is empty: rows are expected")
    if start == "{":
        first = next(line for line in text.lines() if line.strip())
        if not first.rstrip().endswith("}"):
            raise UserError(f"{name}: one JSON object over several lines is no list of rows; put it into [...]")
    return json_rows(text) if start in "[{" else _of_table(name, text)


def _of_table(name: str, text: Text) -> TableRows:
    """Rows of a table; where quotation marks are no quotes, as some tables with tabs have it, texts as they stand."""
    if separator(text) != "\t":
        return table_rows(name, text)
    try:
        quoted = _sound(table_rows(name, text))
    except UserError:
        quoted = 0, 0
    plainly = _sound(plain_rows(name, text))
    return plain_rows(name, text) if plainly[0] > quoted[0] or not quoted[1] else table_rows(name, text)


def _sound(rows: TableRows) -> tuple[int, int]:
    """How many rows have one field for each name, and how many there are."""
    sound = total = 0
    for _, row in rows:
        sound += isinstance(row, dict)
        total += 1
    return sound, total


def _of_parquet(path: Path, name: str) -> TableRows:
    import pyarrow
    from pyarrow import parquet

    try:
        batches = parquet.ParquetFile(path).iter_batches()
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{name}: not a Parquet file that can be read ({str(error).splitlines()[0]})") from None


class AnyRows(Rows):
    """One file of rows in any usual format."""

    raw_name: ClassVar = "data"

    def read(self, path: Path, name: str) -> TableRows:
        """See :func:`read_any`."""
        return read_any(path, name)

    def examine(self, task: Content, options: RowsData) -> str | None:
        """What a local file holds: its first rows, and how they are divided where they are all."""
        if options.source != "file":
            return None
        path = Path(options.path)
        rows = list(islice(self.read(path, options.path), LOOKED_AT + 1))
        reading = self.checked(task, options, rows[:LOOKED_AT], options.path)
        said = [f"{options.path}: {reading.rows} rows, {reading.unusable} unusable, {reading.repeated} repeated"]
        said += [f"line {row['line']}: {row['reason']}" for row in reading.bad[:3]]
        if len(rows) > LOOKED_AT:
            return "; ".join([f"the first rows of {said[0]}", *said[1:]])
        try:
            codes = divide(reading.records, task.answers, options.splits)
        except UserError as error:
            raise UserError(f"{options.path}: {error}") from None
        sizes = (f"{np.count_nonzero(codes == code)} {split}" for code, split in enumerate(SPLITS))
        return "; ".join([*said, f"splits: {', '.join(sizes)}"])
