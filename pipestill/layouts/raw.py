"""Raw data files: a JSON list or JSON Lines, read so that one broken row costs one row and is named by its line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.io.files import read_text
from pipestill.io.parsing import BadJson, end_of_value, parse_at, parse_json
from pipestill.layouts.example import BadRow

_NEXT_ROW = re.compile(r"(?:\n|,)\s*(?=\{)")
_SEPARATORS = re.compile(r"[\s,]*")


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`.

    Raises:
        UserError: the file is missing or not UTF-8 text.
    """
    text = read_text(path)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    rows = _of_list(text) if text.lstrip().startswith("[") else _of_lines(text)
    for line, row in rows:
        yield line, row if isinstance(row, dict | BadRow) else BadRow("not a JSON object")


def _of_lines(text: str) -> Iterator[tuple[int, Any]]:
    # A JSON string may hold other line separators, such as U+2028.
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                yield line, parse_json(content.lstrip("\ufeff"))  # as joined files have it in their middle
            except BadJson as error:
                yield line, _broken(error)


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
