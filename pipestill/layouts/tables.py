"""Tables of text: a header, any usual separator, quotes around fields."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.texts import Text
from pipestill.layouts.example import BadRow

SEPARATORS = ",;\t|"  # of equal ones the first
LONGEST_FIELD = 1 << 24  # characters; the csv module's own limit is shorter than a long report
LOOKED_AT = 50  # rows that a separator is chosen by
_SAID = re.compile(r"sep=(.)\r?\n")  # how spreadsheets say it, above the header
TableRows = Iterator[tuple[int, dict[str, Any] | BadRow]]


def table_rows(path: Path | str, text: Text) -> TableRows:
    """Rows of a table with the line that each begins in; a row with other fields than its header is a :class:`BadRow`.

    Args:
        path: what a refusal calls the file.
        text: of the table.

    Raises:
        UserError: it has no header, one with one name in it twice, or an unclosed quote.
    """
    csv.field_size_limit(LONGEST_FIELD)
    lines, line = text.any_lines(), 0
    if said := _SAID.match(text.start()):
        line = 1
        next(lines)
    reader = csv.reader(lines, delimiter=said[1] if said else separator(text), strict=True)
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


def plain_rows(path: Path | str, text: Text) -> TableRows:
    """Rows of a table with tabs, whose texts are taken as they stand: a quotation mark is a part of its text."""
    names: list[str] = []
    for line, content in enumerate(text.lines(), 1):
        fields = content.removesuffix("\r").split("\t")
        if not names:
            names = header(path, fields)
        elif len(fields) == len(names):
            yield line, dict(zip(names, fields, strict=True))
        elif content.strip():
            yield line, other_fields(fields, names)


def other_fields(fields: Sequence[str], names: Sequence[str]) -> BadRow:
    """A row of a table that has not one field for each of the ``names``."""
    return BadRow(f"{'more' if len(fields) > len(names) else 'fewer'} fields than the header has")


def header(path: Path | str, fields: Sequence[str]) -> list[str]:
    """Names of the columns of a table.

    Raises:
        UserError: one of them is there twice.
    """
    names = [name.strip() for name in fields]
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise UserError(f"{path}: {times} columns are called `{name}`: rename all but one")
    return names


def separator(text: Text) -> str:
    """What stands between the names of the header: of :data:`SEPARATORS` the one that gives the most, and of equal ones
    one that gives most of the first rows as many fields."""

    def found(mark: str) -> tuple[int, bool]:
        sizes: list[int] = []
        try:
            for fields in islice(csv.reader(text.any_lines(), delimiter=mark), LOOKED_AT):
                sizes += [len(fields)] if fields else []
        except csv.Error:
            pass  # a field longer than any, which the reading will name
        return (sizes[0], 2 * sizes.count(sizes[0]) > len(sizes)) if sizes else (0, False)

    return max(SEPARATORS, key=found)
