"""Lines of ``SHA256SUMS``, in every dress that tools give them."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipestill.errors import UserError

SHA256SUMS = "SHA256SUMS"
_GNU = re.compile(r"([0-9a-fA-F]{64}) [ *]?(.+)", re.DOTALL)  # two spaces, or a space and the star of binary files
_BSD = re.compile(r"SHA(?:2-)?256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # in a name whose line begins with a backslash


def sum_line(name: str, digest: str) -> str:
    """The line of ``sha256sum`` about a file.

    Raises:
        UserError: the name is not UTF-8 text.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"the name of the file {name!r} is not UTF-8 text: rename it") from None
    escaped = "".join(_ESCAPES.get(char, char) for char in name)
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def read_sha256sums(listing: Path) -> dict[str, str]:
    """Digest of each file by its path.

    Lines are those of ``sha256sum`` (also of binary files, with ``./``, capitals, escapes or line ends of Windows), of
    BSD's ``sha256`` or of ``openssl dgst``; comments and empty lines are skipped.

    Raises:
        UserError: the list cannot be read, or a line is no such line, names a place outside of the directory, or gives
            a second digest of a file; the message names the line.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(_lines(listing), 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{listing}, line {number}"
        name, digest = _entry(line, where)
        if name != SHA256SUMS and digests.setdefault(name, digest) != digest:
            raise UserError(f"{where}: a second sha256 of {name}: make the list again")
    return digests


def _lines(listing: Path) -> Iterator[str]:
    try:
        text = listing.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{listing} does not exist: the directory is incomplete, make or download it again") from None
    except UnicodeDecodeError:
        raise UserError(f"{listing} is not UTF-8 text: make it with `sha256sum`") from None
    return (line.removesuffix("\r") for line in text.split("\n"))


def _entry(line: str, where: str) -> tuple[str, str]:
    """Path and digest of one line."""
    plain = line.removeprefix("\\")
    if found := _GNU.fullmatch(plain):
        digest, name = found.groups()
    elif found := _BSD.fullmatch(plain):
        name, digest = found.groups()
    else:
        raise UserError(f"{where}: not a line of `sha256sum` (64 hex digits, two spaces, a name): make the list again")
    if plain != line:
        plainly = {escape: char for char, escape in _ESCAPES.items()}
        name = re.sub(r"\\[\\nr]", lambda escape: plainly[escape[0]], name)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: {name!r} lies outside of the directory: list its own files only")
    return path.as_posix(), digest.lower()
