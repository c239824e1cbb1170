"""Faults of a disk in words: full, broken, or closed to the user."""

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}
TORCH = re.compile(r"PytorchStreamWriter failed|inline_container.*unexpected pos", re.DOTALL)  # it does not say why


def disk_problem(error: BaseException, outputs: Sequence[Path] = ()) -> str | None:
    """A sentence about a fault of a disk, with the file and the space that is left; none for any other error.

    Args:
        error: what was raised. Libraries in other languages raise errors of their own, which name the fault in words.
        outputs: what the job writes, named where the error names no file.
    """
    for cause in _chain(error):
        number = _number(cause)
        if number in FULL | CLOSED:
            named = getattr(cause, "filename", None)
            path = Path(os.fsdecode(named)) if named else next(iter(outputs), None)
            return _sentence(number, path)
    return None


def _sentence(number: int, path: Path | None) -> str:
    what = f"{path} cannot be read or written" if path else "a file cannot be read or written"
    if number in FULL:
        what = f"{path or 'a file'} cannot be written"
        room = f" ({_free(path or Path()) / 1e9:.3f} GB are free there)"
        return f"{what}: {os.strerror(number)}{room}; make room, then repeat the command: finished work is kept"
    return f"{what}: {os.strerror(number)}; mend that, then repeat the command"


def _free(path: Path) -> int:
    """Bytes that are free where ``path`` lies or would lie."""
    place = next((each for each in (path, *path.parents) if each.exists()), Path())
    return shutil.disk_usage(place).free


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    if TORCH.search(str(error)):
        return errno.ENOSPC
    found = re.search(r"\(os error (\d+)\)", str(error))  # as Rust's standard library words it
    return int(found[1]) if found else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
