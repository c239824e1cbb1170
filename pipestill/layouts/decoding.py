"""Text of a file in any usual encoding, which is recognised, or refused by name."""

import codecs
import re
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import ZEROS
from pipestill.io.texts import Text, look

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
BINARY = (  # how files begin that hold no text, and what they are
    (b"PK\x03\x04", "a zip archive or a spreadsheet (.xlsx, .ods)"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls)"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"\xfd7zXZ", "compressed by xz"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "a database of SQLite"),
    (b"ARROW1", "an Arrow file"),
)
REMEDY = "save it as UTF-8"
_HIGH = re.compile(rb"[\x80-\xff]+")


def text_of(path: Path, name: str) -> Text:
    """The text of a file in UTF-8, UTF-16 (with or without a byte order mark) or Windows-1252, which has Latin-1 in it.

    One in UTF-8 is looked through piece by piece, any other is in memory once.

    Args:
        path: of the file.
        name: that a refusal calls it by.

    Raises:
        UserError: it is no text, or of another encoding; names the line where that shows.
    """
    found = look(path)
    for start, what in BINARY:
        if found.head.startswith(start):
            raise UserError(f"{name} is {what}: save its rows as CSV, JSON Lines or Parquet")
    if found.utf8 and found.zeros <= ZEROS:
        return Text(path, newline=found.newline)
    content = path.read_bytes()
    encoding = _encoding(content, name)
    return Text(path, encoding, "\n" if "\n" in content.decode(encoding) else "\r")


def _encoding(content: bytes, name: str) -> str:
    marked = next((encoding for mark, encoding in MARKS if content.startswith(mark)), None) or _wide(content)
    try:
        content.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = f"{name}, line {line}"
        if marked:
            raise UserError(f"{place}: a byte that is not {marked.upper()}; {REMEDY}") from None
        return _western(content, place)
    return marked or "utf-8-sig"


def _wide(content: bytes) -> str | None:
    """UTF-16 without its mark, which shows in the zero bytes of ASCII letters."""
    if content.count(0) <= ZEROS * len(content):
        return None
    return "utf-16-le" if content[1:200:2].count(0) > content[:200:2].count(0) else "utf-16-be"


def _western(content: bytes, place: str) -> str:
    """Its name: Windows-1252, where letters beyond ASCII stand alone, as in Western European languages.

    Raises:
        UserError: they stand together, as in other alphabets, or most are UTF-8 but for a broken one.
    """
    runs = _HIGH.findall(content)
    if any(_is_utf8(run) for run in runs):
        raise UserError(f"{place}: a byte that is not UTF-8, which other letters of the file are; mend it")
    if 2 * sum(len(run) == 1 for run in runs) < len(runs):
        raise UserError(f"{place}: this is neither UTF-8 nor Western European (Latin-1, Windows-1252); {REMEDY}")
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        raise UserError(f"{place}: this is neither UTF-8 nor Windows-1252; {REMEDY}") from None
    return "cp1252"


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
