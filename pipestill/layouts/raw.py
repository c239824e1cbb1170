"""Raw data files (a JSON list, JSON Lines, a table), read so that a broken row costs one and is named by its line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.io.files import read_text
from pipestill.io.parsing import BadJson, end_of_value, parse_at, parse_json
from pipestill.layouts.example import BadRow
from pipestill.layouts.tables import TableRows, plain_rows

_NEXT_ROW = re.compile(r"(?:\n|,)\s*(?=\{)")
_SEPARATORS = re.compile(r"[\s,]*")


def read_rows(path: Path) -> TableRows:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`.

    A table has tabs between the names in its first line and between the texts below them, which are taken as they
    stand: a quotation mark is a part of its text.

    Raises:
        UserError: the file is missing or not UTF-8 text, or a table with one name in it twice.
    """
    text = lines_of(read_text(path))
    yield from plain_rows(path, text) if _is_table(text) else json_rows(text)


def lines_of(text: str) -> str:
    """A text whose lines end with ``\\n``, where they all ended with ``\\r``."""
    return text if "\n" in text else text.replace("\r", "\n")


def json_rows(text: str) -> TableRows:
    """Rows of a JSON list, or of JSON Lines, with their line numbers."""
    for line, row in _of_list(text) if text.lstrip().startswith("[") else _of_lines(text):
        yield line, row if isinstance(row, dict | BadRow) else BadRow("not a JSON object")


def _of_lines(text: str) -> Iterator[tuple[int, Any]]:
    # A JSON string may hold other line separators, such as U+2028.
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                yield line, parse_json(content.lstrip("\ufeff"))  # as joined files have it in their middle
            except BadJson as error:
                yield line, _broken(error)


def _is_table(text: str) -> bool:
    first = text.partition("\n")[0]
    return "\t" in first and not first.lstrip().startswith(("{", "["))


def _of_list(text: str) -> Iterator[tuple[int, Any]]:
    text = text.rstrip()
    position = text.index("[") + 1
    line, counted = 1, 0
    while True:
        position = _SEPARATORS.match(text, position).end()
        line, counted = line + text.count("\n", counted, position), position
        if position == len(text):
            yield line, BadRow("the list is not closed")
            return
        if text[position] == "]":
            return
        try:
            row, position = parse_at(text, position)
        except BadJson as error:
            yield line, _broken(error)
            if error.position is None:  # JSON, whose end its brackets tell
                position = end_of_value(text, position)
                continue
            following = _NEXT_ROW.search(text, max(position + 1, min(error.position, len(text)) - 1))
            if following is None:
                return
            position = following.end()
            continue
        yield line, row


def _broken(error: BadJson) -> BadRow:
    return BadRow(f"broken JSON ({error})")
