"""Pairs of texts and summaries in tables: CSV with a header, JSON Lines, or a JSON list."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.layouts.example import BadRow
from pipestill.layouts.raw import decode, read_rows

SUFFIXES = (".jsonl", ".json", ".csv")
LONGEST_FIELD = 1 << 24  # characters; the csv module's own limit is shorter than a long report


def read_pairs(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`.

    Raises:
        UserError: the file is missing, not UTF-8 text, or a CSV file without a header or with an unclosed quote.
    """
    return _of_csv(path) if Path(path).suffix.lower() == ".csv" else read_rows(path)


def _of_csv(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.DictReader(io.StringIO(decode(path), newline=""), strict=True)
    if not reader.fieldnames:
        raise UserError(f"{path} is empty: a first line with the names of the columns is expected")
    line = 1
    try:
        for row in reader:
            line, start = reader.line_num, line + 1
            if None in row:
                yield start, BadRow("more fields than the header has")
            elif None in row.values():
                yield start, BadRow("fewer fields than the header has")
            else:
                yield start, {name.strip(): value for name, value in row.items()}
    except csv.Error as error:
        raise UserError(f"{path}, line {line + 1}: not valid CSV ({error})") from None
