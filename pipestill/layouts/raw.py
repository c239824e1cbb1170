"""Raw data files: a JSON list or JSON Lines, read so that one broken row costs one row and is named by its line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.layouts.example import BadRow

_DECODER = json.JSONDecoder()
_NEXT_ROW = re.compile(r"(?:\n|,)\s*(?=\{)")
_SEPARATORS = re.compile(r"[\s,]*")


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Rows of ``path`` with their line numbers; a row that cannot be read is given as a :class:`BadRow`."""
    text = decode(path)
    rows = _of_list(text) if text.lstrip().startswith("[") else _of_lines(text)
    for line, row in rows:
        yield line, row if isinstance(row, dict | BadRow) else BadRow("not a JSON object")


def decode(path: Path) -> str:
    """The text of ``path``, without a byte order mark."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}): convert it") from None


def _of_lines(text: str) -> Iterator[tuple[int, Any]]:
    # A JSON string may hold other line separators, such as U+2028.
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                yield line, json.loads(content)
            except json.JSONDecodeError as error:
                yield line, BadRow(f"broken JSON ({error.msg})")


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
            row, position = _DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            yield line, BadRow(f"broken JSON ({error.msg})")
            following = _NEXT_ROW.search(text, max(position + 1, min(error.pos, len(text)) - 1))
            if following is None:
                return
            position = following.end()
            continue
        yield line, row
