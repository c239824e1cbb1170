"""Rows that are finished one by one and survive a kill: append-only JSON Lines files in a directory of their work."""

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.digests import json_digest
from pipestill.io.files import dump_compact
from pipestill.io.records import write_jsonl


def state_of(directory: Path, fingerprint: Any) -> Path:
    """The part of ``directory`` that belongs to the work defined by ``fingerprint``; that of other work is removed."""
    own = Path(directory) / json_digest(fingerprint)[:16]
    for other in Path(directory).glob("*/"):
        if other != own:
            shutil.rmtree(other)
    own.mkdir(parents=True, exist_ok=True)
    return own


class RowLog:
    """Finished rows by key; a torn last line, from a kill, is dropped.

    Args:
        path: the file; made when the first row comes.
        paid: the rows cost money: they are on the disk before the work goes on, and none is ever dropped.

    Raises:
        UserError: a line of a paid log is broken. Those of other logs are dropped, and their work is done again.
    """

    def __init__(self, path: Path, paid: bool = False):
        self.path, self.paid = Path(path), paid
        self.rows: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        *lines, torn = self.path.read_bytes().split(b"\n")
        broken = []
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                self.rows[row["key"]] = row
            except (ValueError, KeyError, TypeError, RecursionError):
                broken.append(number)
        if broken and self.paid:
            raise UserError(
                f"{self.path} holds a line that is not one of its own (line {broken[0]}): mend it, or remove it"
            )
        if broken:
            print(f"{self.path}: {len(broken)} damaged rows are dropped, and done again", file=sys.stderr, flush=True)
            write_jsonl(self.path, self.rows.values())
        elif torn:
            os.truncate(self.path, self.path.stat().st_size - len(torn))

    def append(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Add finished rows, all or none, and hand them to the operating system; if they are paid for, to the disk.

        Raises:
            OSError: they cannot be written, as on a full disk; the file and the rows here are as before.
        """
        added = [{"key": key, **row} for key, row in rows]
        new = self.paid and not self.path.exists()
        rest = memoryview("".join(f"{dump_compact(row)}\n" for row in added).encode())
        with open(self.path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                if self.paid:
                    os.fsync(file.fileno())
            except BaseException as error:
                file.truncate(end)
                if isinstance(error, OSError):
                    error.filename = str(self.path)
                raise
        if new:
            _sync_directory(self.path.parent)
        self.rows.update((row["key"], row) for row in added)


def _sync_directory(directory: Path) -> None:
    """Make sure that a new file is found again after a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
