"""Rows that are finished one by one and survive a kill: an append-only JSON Lines file under a fingerprint."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipestill.files import dump_compact


class RowLog:
    """Finished rows by key. The first line of the file is the fingerprint of the work.

    A file of other work is started over, and a torn last line (from a kill) is dropped.

    Args:
        path: the file; made when the first row comes.
        fingerprint: whatever defines the rows; any JSON value.
    """

    def __init__(self, path: Path, fingerprint: Any):
        self.path = Path(path)
        self.header = dump_compact({"fingerprint": fingerprint})
        self.rows: dict[str, dict[str, Any]] = {}
        self._read()

    def _read(self) -> None:
        if not self.path.exists():
            return
        header, *lines = self.path.read_bytes().split(b"\n")
        if header.decode(errors="replace") != self.header:
            self.path.unlink()
            return
        whole = len(header) + 1
        for line in lines[:-1]:  # what follows the last newline is torn, or nothing
            row = json.loads(line)
            self.rows[row["key"]] = row
            whole += len(line) + 1
        if whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def append(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Add finished rows and hand them to the operating system."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with open(self.path, "a", encoding="utf-8") as file:
            if new:
                file.write(f"{self.header}\n")
            for key, row in rows:
                self.rows[key] = {"key": key, **row}
                file.write(f"{dump_compact(self.rows[key])}\n")
