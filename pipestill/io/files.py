"""Files that are never half-written, and directories that carry their own checksums."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.checksums import SHA256SUMS, read_sha256sums, sum_line
from pipestill.io.parsing import BadJson, parse_json
from pipestill.io.texts import Text, look

UMASK = os.umask(0o077)
os.umask(UMASK)  # the only way to read it
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
ZEROS = 1 / 4  # share of the bytes of a text beyond which it is none in UTF-8


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what is written there takes its place when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _share(temporary)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path) if error.filename in (None, str(temporary)) else error.filename
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in one step."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def dump_compact(value: Any) -> str:
    """``value`` as JSON on one line; the same value always gives the same text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        UserError: the file cannot be read, or is not JSON (:func:`pipestill.io.parsing.parse_json`); the message names
            the line.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except BadJson as error:
        place = f"{path}, line {error.line}" if error.line else f"{path}"
        raise UserError(f"{place}: not valid JSON ({error})") from None


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        UserError: the file is missing, or is not UTF-8 text; the message names the line.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory: name a file") from None
    if content.startswith(UTF_16) or content.count(0) > ZEROS * len(content):
        raise UserError(f"{path} is UTF-16 or binary, not UTF-8 text: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not UTF-8 text (line {line}, byte {error.start}), but perhaps Latin-1: save it as UTF-8"
        ) from None


def text_file(path: Path) -> Text:
    """The same text, to be read piece by piece; raises like :func:`read_text`."""
    found = look(path) if Path(path).is_file() else None
    if found is None or not found.utf8 or found.head.startswith(UTF_16) or found.zeros > ZEROS:
        read_text(path)
    return Text(Path(path), newline=found.newline)


@contextmanager
def fresh_directory(path: Path) -> Iterator[Path]:
    """Give an empty temporary directory beside ``path``; it takes the place of ``path`` when the block ends well.

    When it does not, nothing is left of it.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _share(file)
        replace_directory(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _share(path: Path) -> None:
    """Give a file the rights of any new file; libraries write weights for their owner only."""
    facts = path.lstat()
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:  # other names belong to others
        path.chmod(0o666 & ~UMASK)


def replace_directory(temporary: Path, final: Path) -> None:
    """Put the directory ``temporary`` in the place of ``final``."""
    shutil.rmtree(final, ignore_errors=True)
    os.replace(temporary, final)


def sha256(path: Path) -> str:
    """Hex digest of one file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _members(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in Path(directory).rglob("*")
        if path.is_file() and path.name != SHA256SUMS and not path.name.startswith(".")
    )


def write_sha256sums(directory: Path) -> None:
    """Write ``SHA256SUMS`` (the format of ``sha256sum``) over every file of ``directory``."""
    lines = [sum_line(path.relative_to(directory).as_posix(), sha256(path)) for path in _members(directory)]
    write_text(Path(directory) / SHA256SUMS, "".join(lines))


def verify_sha256sums(directory: Path) -> str:
    """Check ``directory`` against its ``SHA256SUMS`` and return the digest of that list: the directory's identity.

    Raises:
        UserError: the list is missing or broken, a file is missing, changed or not listed.
    """
    directory = Path(directory)
    listing = directory / SHA256SUMS
    if not listing.is_file():
        raise UserError(f"{directory} has no {SHA256SUMS}: the directory is incomplete, make or download it again")
    expected = read_sha256sums(listing)
    for name, digest in expected.items():
        if not (directory / name).is_file():
            raise UserError(f"{directory / name} is missing but listed in {SHA256SUMS}: make or download it again")
        if sha256(directory / name) != digest:
            raise UserError(f"{directory / name} does not match its sha256 in {SHA256SUMS}: make or download it again")
    for path in _members(directory):
        if path.relative_to(directory).as_posix() not in expected:
            raise UserError(f"{path} is not listed in {listing}: remove it, or make the directory again")
    return sha256(listing)
