"""Pairs of texts and summaries in tables: CSV with a header and any usual separator, JSON Lines, or a JSON list."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import read_text
from pipestill.layouts.example import BadRow
from pipestill.layouts.raw import header, other_fields, read_rows

SEPARATED = (".csv", ".tsv")
SUFFIXES = (".jsonl", ".json", *SEPARATED)
SEPARATORS = ",;\t|"  # of equal ones the first
LONGEST_FIELD = 1 << 24  # characters; the csv module's own limit is shorter than a long report
_SAID = re.compile(r"sep=(.)\r?\n")  # how spreadsheets say it, above the header


def read_pairs(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`.

    Raises:
        UserError: the file is missing, not UTF-8 text, or a CSV file without a header, with one name in it twice, or
            with an unclosed quote.
    """
    return _of_csv(path) if Path(path).suffix.lower() in SEPARATED else read_rows(path)


def _of_csv(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    csv.field_size_limit(LONGEST_FIELD)
    text, line = read_text(path), 0
    if said := _SAID.match(text):
        text, line = text[said.end() :], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=said[1] if said else _separator(text), strict=True)
    above, names = line, None
    try:
        for fields in reader:
            line, start = above + reader.line_num, line + 1
            if not fields:
                continue
            if names is None:
                names = header(path, fields)
            elif len(fields) != len(names):
                yield start, other_fields(fields, names)
            else:
                yield start, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {line + 1}: not valid CSV ({error}); close each quote") from None
    if names is None:
        raise UserError(f"{path} is empty: a first line with the names of the columns is expected")


def _separator(text: str) -> str:
    """What stands between the names of the header: of :data:`SEPARATORS` the one that gives the most."""

    def names(separator: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), []))
        except csv.Error:
            return 0

    return max(SEPARATORS, key=names)
