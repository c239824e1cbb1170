"""One process at a time: locks that the kernel releases when their holder dies in any way."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipestill.errors import UserError


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the state in ``directory`` exclusively; wait for a job that outlived its workflow and still works there."""
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{directory}.lock", "w") as file:  # beside: the directory itself may be emptied
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process works in {directory}: waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hold(path: Path, what: str) -> object:
    """Take the lock ``path`` for as long as the returned object lives.

    Raises:
        UserError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "w")  # noqa: SIM115 (the caller keeps it open)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(f"{what} is already at work here ({path} is locked): wait for it, or stop it") from None
    return file
