"""Rows that are finished one by one and survive a kill: append-only JSON Lines files in a directory of their work."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipestill.io.digests import json_digest
from pipestill.io.files import dump_compact


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
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.rows: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        *lines, torn = self.path.read_bytes().split(b"\n")
        for line in lines:
            row = json.loads(line)
            self.rows[row["key"]] = row
        if torn:
            os.truncate(self.path, self.path.stat().st_size - len(torn))

    def append(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Add finished rows and hand them to the operating system."""
        with open(self.path, "a", encoding="utf-8") as file:
            for key, row in rows:
                self.rows[key] = {"key": key, **row}
                file.write(f"{dump_compact(self.rows[key])}\n")
