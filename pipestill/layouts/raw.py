"""Raw data files (a JSON list, JSON Lines, a table), read so that a broken row costs one and is named by its line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.io.files import text_file
from pipestill.io.parsing import BadJson, end_of_value, parse_at, parse_json
from pipestill.io.texts import PIECE, Text
from pipestill.layouts.example import BadRow
from pipestill.layouts.tables import TableRows, plain_rows

LONGEST = 1 << 24  # characters of a row in a list; a broken one is known by them
_NEXT_ROW = re.compile(r"(?:\n|,)\s*(?=\{)")
_SEPARATORS = re.compile(r"[\s,]*")


def read_rows(path: Path) -> TableRows:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`.

    A table has tabs between the names in its first line and between the texts below them, which are taken as they
    stand: a quotation mark is a part of its text.

    Raises:
        UserError: the file is missing or not UTF-8 text, or a table with one name in it twice.
    """
    text = text_file(path)
    yield from plain_rows(path, text) if _is_table(text) else json_rows(text)


def json_rows(text: Text) -> TableRows:
    """Rows of a JSON list, or of JSON Lines, with their line numbers."""
    for line, row in _of_list(text) if text.start().lstrip().startswith("[") else _of_lines(text):
        yield line, row if isinstance(row, dict | BadRow) else BadRow("not a JSON object")


def _of_lines(text: Text) -> Iterator[tuple[int, Any]]:
    # A JSON string may hold other line separators, such as U+2028.
    for line, content in enumerate(text.lines(), 1):
        if content.strip():
            try:
                yield line, parse_json(content.lstrip("\ufeff"))  # as joined files have it in their middle
            except BadJson as error:
                yield line, _broken(error)


def _is_table(text: Text) -> bool:
    first = text.start().partition("\n")[0]
    return "\t" in first and not first.lstrip().startswith(("{", "["))


class _Window:
    """The part of a text that is being read.

    Attributes:
        text: the part.
        line: number of the line that it begins in.
    """

    def __init__(self, text: Text):
        self._pieces = text.pieces()
        self.text, self.line = "", 1

    def grow(self, characters: int) -> bool:
        """Hold as many characters, if there are; whether more came."""
        parts, size = [self.text], len(self.text)
        while size < characters and (piece := next(self._pieces, "")):
            parts.append(piece)
            size += len(piece)
        self.text = "".join(parts)
        return len(parts) > 1

    def drop(self, characters: int) -> None:
        """Forget what has been read."""
        self.line += self.text.count("\n", 0, characters)
        self.text = self.text[characters:]


def _of_list(text: Text) -> Iterator[tuple[int, Any]]:
    window = _Window(text)
    while "[" not in window.text:
        window.grow(len(window.text) + PIECE)
    position = window.text.index("[") + 1
    line, counted = 1, 0
    while True:
        if position > PIECE:
            window.drop(position)
            window.grow(PIECE)
            position = counted = 0
            line = window.line
        position = _SEPARATORS.match(window.text, position).end()
        line, counted = line + window.text.count("\n", counted, position), position
        if position == len(window.text):
            if window.grow(position + PIECE):
                continue
            behind = window.text[len(window.text.rstrip()) :]
            yield line - behind.count("\n"), BadRow("the list is not closed")
            return
        if window.text[position] == "]":
            return
        try:
            row, end = parse_at(window.text, position)
        except BadJson as error:
            ahead = len(window.text) - position
            if ahead < LONGEST and window.grow(position + 2 * max(ahead, PIECE)):  # it may not be read to its end
                continue
            yield line, _broken(error)
            if error.position is None:  # JSON, whose end its brackets tell
                position = end_of_value(window.text, position)
                continue
            place = max(position + 1, min(error.position, len(window.text)) - 1)
            following = _NEXT_ROW.search(window.text, place)
            if following is None:
                return
            position = following.end()
            continue
        if end == len(window.text) and window.grow(end + PIECE):  # so may a number
            continue
        position = end
        yield line, row


def _broken(error: BadJson) -> BadRow:
    return BadRow(f"broken JSON ({error})")
