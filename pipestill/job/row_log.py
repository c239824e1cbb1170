"""Rows that are finished one by one and survive a kill: append-only JSON Lines files in a directory of their work."""

import errno
import json
import os
import re
import shutil
import sys
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from pipestill.io.digests import json_digest
from pipestill.io.files import dump_compact
from pipestill.io.records import Json
from pipestill.job.state import drop

CHECKED = re.compile(rb'(?P<row>\{.*), "crc32": "(?P<sum>[0-9a-f]{8})"\}')


def state_of(directory: Path, fingerprint: Any) -> Path:
    """The part of ``directory`` that belongs to the work defined by ``fingerprint``; that of other work is removed."""
    own = Path(directory) / json_digest(fingerprint)[:16]
    for place in (Path(directory), own):
        if place.exists() and not place.is_dir():
            drop(place)
    for other in Path(directory).glob("*/"):
        if other != own:
            shutil.rmtree(other)
    own.mkdir(parents=True, exist_ok=True)
    return own


class RowLog:
    """Finished rows by key, each with a checksum; a torn last line, from a kill, is dropped.

    Other damaged lines are named and passed over. They stay in the file.

    Args:
        path: the file; made when the first row comes.
        paid: rows were paid for: wait until they are on the disk, and take those without a checksum, of an earlier
            version, as they are.
        fields: of every row.

    Attributes:
        damaged: numbers of the lines that are passed over.
    """

    def __init__(self, path: Path, paid: bool = False, *, fields: Collection[str] = ()):
        self.path, self.paid, self.fields = Path(path), paid, {"key", *fields}
        self.rows: dict[str, Json] = {}
        self.damaged: list[int] = []
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        *lines, torn = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            row = parse_line(line, checked=not self.paid)
            if row is None or not self.fields <= set(row):
                self.damaged.append(number)
            else:
                self.rows[row["key"]] = row
        if self.damaged:
            numbers = ", ".join(map(str, self.damaged))
            print(f"{self.path}: passing over damaged lines ({numbers})", file=sys.stderr, flush=True)
        if torn:
            os.truncate(self.path, self.path.stat().st_size - len(torn))

    def append(self, rows: Iterable[tuple[str, Json]]) -> None:
        """Add finished rows, all or none, and hand them to the operating system; if they are paid for, to the disk.

        Raises:
            OSError: they cannot be written, as on a full disk; the file and the rows here are as before.
        """
        new = {key: {"key": key, **row} for key, row in rows}
        waiting = memoryview(b"".join(map(format_line, new.values())))
        first = self.paid and not self.path.exists()
        with open(self.path, "ab", buffering=0) as file:
            end = file.tell()
            try:
                while waiting:
                    if not (written := file.write(waiting)):
                        raise OSError(errno.EIO, "nothing could be written")
                    waiting = waiting[written:]
                if self.paid:
                    os.fsync(file.fileno())
            except BaseException as error:
                file.truncate(end)
                if isinstance(error, OSError):
                    error.filename = str(self.path)
                raise
        if first:
            _sync(self.path.parent)
        self.rows.update(new)


def _sync(directory: Path) -> None:
    """Make sure that a new file is found again after a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def format_line(row: Json) -> bytes:
    """A line of a log: the row, and its checksum as a last field."""
    text = dump_compact(row).encode()
    return text[:-1] + f', "crc32": "{zlib.crc32(text):08x}"}}\n'.encode()


def parse_line(line: bytes, *, checked: bool = True) -> Json | None:
    """The row of a line; none if it is damaged, or if it should be ``checked`` and has no checksum."""
    if found := CHECKED.fullmatch(line):
        line = found["row"] + b"}"
        if zlib.crc32(line) != int(found["sum"], 16):
            return None
    elif checked:
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("key"), str) else None
