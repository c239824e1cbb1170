"""The text files of a zip archive or a folder: read one by one, nothing unpacked, nothing read from elsewhere."""

import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipestill.errors import UserError
from pipestill.io.normal import clean

SYSTEM_FOLDER = "__MACOSX"
# What damaged archives raise as they are read, whatever the compression.
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError, OSError, ValueError)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file in archives that are written here
CHUNK = 1 << 20  # bytes that are copied at a time
NAMED = 10  # files of an archive that a message names
SAYS_UTF_8 = 0x800  # of the flags of an entry: how its name is encoded


@dataclass(frozen=True)
class Limits:
    """Limits beyond which an archive or a folder is refused as broken or hostile."""

    files: int = 500_000
    file_bytes: int = 16 << 20
    total_bytes: int = 4 << 30


@dataclass(frozen=True)
class Member:
    """One file: its path inside the archive or folder, and its bytes where its name ends in the suffix asked for."""

    name: str
    content: bytes | None


def members(source: Path, suffix: str = ".txt", limits: Limits = Limits()) -> Iterator[Member]:
    """Files of ``source`` (a folder or a zip archive) in the order of their names; hidden ones are left out.

    Nothing is unpacked, so no name can lead out of a directory; names that try to are refused all the same. Only
    files that end in ``suffix`` (in any case) are read, an archive inside the archive is not.

    Raises:
        UserError: ``source`` does not exist, is not a zip archive or is damaged, holds a name that leads out of it, a
            link, the same name twice, an encrypted file, or more than ``limits`` allow.
    """
    source = Path(source)
    if source.is_dir():
        return _of_folder(source, suffix.lower(), limits)
    if not source.is_file():
        raise UserError(f"{source} does not exist: name a zip archive or a folder")
    if not zipfile.is_zipfile(source):
        raise UserError(f"{source} is not a zip archive: download it again, or name a folder")
    return _of_archive(source, suffix.lower(), limits)


def extract(source: Path, name: str, path: Path, limits: Limits = Limits()) -> None:
    """Write the file ``name`` of the zip archive ``source`` to ``path``.

    Raises:
        UserError: ``source`` is not a zip archive, is damaged or has no such file, or the file is encrypted or larger
            than ``limits`` allow.
    """
    with _opened(source) as archive:
        found = {_name_of(info): info for info in archive.infolist() if not info.is_dir()}
        if name not in found:
            there = ", ".join(list(found)[:NAMED])
            raise UserError(f"{source} has no file `{name}`; there are {there}: correct `member`")
        _check_entry(source, name, found[name])
        budget = _Budget(source, limits)
        with open(path, "wb") as copy:
            for chunk in _chunks(archive, found[name], source):
                budget.count_bytes(name, copy.write(chunk))


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Path) -> Iterator[bytes]:
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except UNREADABLE as error:
        raise _unreadable(source, info, error) from None


def _unreadable(source: Path, info: zipfile.ZipInfo, error: Exception) -> UserError:
    return UserError(f"{source}: {info.filename} cannot be read ({error}); download the archive again")


def write_archive(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip archive of (name, content); the same files give the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)


def _of_archive(source: Path, suffix: str, limits: Limits) -> Iterator[Member]:
    budget, seen = _Budget(source, limits), set()
    with _opened(source) as archive:
        for info in sorted(archive.infolist(), key=_name_of):
            name = _name_of(info)
            _check_entry(source, name, info)
            if info.is_dir() or _is_hidden(name):
                continue
            if name in seen:
                raise UserError(f"{source} holds {name} twice: make the archive again")
            seen.add(name)
            budget.count_file(name)
            content = _read(archive, info, source, budget.limits) if name.lower().endswith(suffix) else None
            budget.count_bytes(name, len(content or b""))
            yield Member(name, content)


def _opened(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError) as error:
        raise UserError(f"{source} is a damaged zip archive ({error}): download it again") from None


def _name_of(info: zipfile.ZipInfo) -> str:
    """Path of an entry, in its normal form; names that are UTF-8 without saying so, as macOS writes them, are known."""
    name = info.filename
    if not info.flag_bits & SAYS_UTF_8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return clean(name).replace("\\", "/")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Path, limits: Limits) -> bytes:
    """Bytes of one file, one more than allowed at most: the size that an archive declares is not trusted."""
    try:
        with archive.open(info) as file:
            return file.read(limits.file_bytes + 1)
    except UNREADABLE as error:
        raise _unreadable(source, info, error) from None


def _of_folder(source: Path, suffix: str, limits: Limits) -> Iterator[Member]:
    budget, root, seen = _Budget(source, limits), source.resolve(), set()
    for path in sorted(filter(_is_entry, source.rglob("*")), key=Path.as_posix):
        name = _name_in(source, path)
        if _is_hidden(name) or not _is_own_file(path, root, source):
            continue
        if name in seen:
            raise UserError(f"{source} holds {name} twice, in two spellings of Unicode: rename or remove one")
        seen.add(name)
        budget.count_file(name)
        is_text = name.lower().endswith(suffix)
        budget.count_bytes(name, path.stat().st_size if is_text else 0)
        try:
            yield Member(name, path.read_bytes() if is_text else None)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): make it readable") from None


def _is_entry(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _name_in(source: Path, path: Path) -> str:
    name = path.relative_to(source).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{source} holds {name!r}, a name that is not UTF-8: rename it") from None
    return clean(name)


def _is_own_file(path: Path, root: Path, source: Path) -> bool:
    """False for a link to a folder of the same tree, whose files are met anyway.

    Raises:
        UserError: a link leads out of the tree, or nowhere.
    """
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        raise UserError(f"{path} is a link to nothing: remove it, or put the file itself there") from None
    if not target.is_relative_to(root):
        raise UserError(f"{path} is a link to a place outside {source}: put the file itself there")
    return target.is_file()


def _check_entry(source: Path, name: str, info: zipfile.ZipInfo) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise UserError(f"{source} holds {name!r}, a name that leads out of it: do not use this archive")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(f"{source} holds a link, {name}: make the archive again without links")
    if info.flag_bits & 1:
        raise UserError(f"{source}: {name} is encrypted; make the archive again without a password")


def _is_hidden(name: str) -> bool:
    """True for files that operating systems leave behind (``__MACOSX/``, ``._x``, ``.DS_Store``)."""
    return any(part.startswith(".") or part == SYSTEM_FOLDER for part in PurePosixPath(name).parts)


@dataclass
class _Budget:
    """Amounts read so far, and the limits."""

    source: Path
    limits: Limits
    files: int = 0
    total: int = 0

    def count_file(self, name: str) -> None:
        self.files += 1
        if self.files > self.limits.files:
            raise UserError(f"{self.source} holds more than {self.limits.files} files ({name} is one too many)")

    def count_bytes(self, name: str, size: int) -> None:
        self.total += size
        if size > self.limits.file_bytes:
            raise UserError(f"{self.source}: {name} is larger than {self.limits.file_bytes} bytes, too much for a text")
        if self.total > self.limits.total_bytes:
            raise UserError(f"{self.source} holds more than {self.limits.total_bytes} bytes of text")
