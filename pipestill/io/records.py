"""Records, and the JSON Lines files that hold them.

A record is a plain mapping by ``FIELDS``: those of the first line in all tasks (``split`` is one of ``SPLITS``, and
``prompt`` comes with cropping), those of the second by task.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import atomic_path, dump_compact

SPLITS = ("teacher", "train", "validation", "test")
FIELDS = (
    *("id", "split", "text", "target", "prompt", "meta"),
    *("label", "instruction", "references", "test_set", "group", "rationale"),
)

Record = dict[str, Any]


def write_jsonl(path: Path, rows: Iterable[Record]) -> None:
    """Write ``rows`` to ``path`` in one step."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{dump_compact(row)}\n" for row in rows)


def read_jsonl(path: Path) -> list[Record]:
    """All rows of ``path``.

    Raises:
        UserError: the file is missing, or a line is not a JSON object; the message names the line.
    """
    return list(iterate_jsonl(path))


def iterate_jsonl(path: Path) -> Iterator[Record]:
    """Rows of ``path`` one by one; raises like :func:`read_jsonl`."""
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist")
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}, line {number}: not valid JSON ({error.msg})") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number}: a JSON object is expected, not {type(row).__name__}")
            yield row


def of_split(records: Iterable[Record], split: str) -> list[Record]:
    """The records of one split, in order."""
    return [record for record in records if record["split"] == split]


def normalise(text: str) -> str:
    """Text as splits are compared by: NFKC, lower case, single spaces."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
