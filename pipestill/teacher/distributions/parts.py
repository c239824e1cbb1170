"""Finished rows of a shard, while it is made and after: what a killed job, or one with more rows, need not redo."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipestill.io.files import sha256, write_json
from pipestill.io.seals import discard, publish
from pipestill.job.state import drop, is_whole, read_state
from pipestill.teacher.distributions.shard import Layout, Row, Shard, sizes_of, write_shard

PART_TOKENS = 4096  # supervised tokens after which what is finished goes to the disk,
PART_BYTES = 64 * 2**20  # or bytes


class Parts:
    """Rows in a directory of state: the shard as it was published last, and files of rows that were finished since.

    Attributes:
        places: file and index of each finished row, by key.

    Args:
        directory: of the work (teacher, codec, temperature, ...) that all rows in it come from.
        layout: of the codec.
    """

    def __init__(self, directory: Path, layout: Layout):
        self.directory, self.layout = Path(directory), layout
        self.places: dict[str, tuple[Shard, int]] = {}
        self._waiting: list[Row] = []
        self._tokens = self._bytes = 0
        self._published, self._facts = self.directory / "shard.safetensors", self.directory / "shard.json"
        if self._published.exists() and self._is_intact():
            self._add(self._published)
        for path in sorted(self.directory.glob("part_*.safetensors")):
            if is_whole(path):
                self._add(path)

    def _is_intact(self) -> bool:
        # The published file is the same one by a second name: what damages it damages this.
        facts = read_state(self._facts) or {}
        if sha256(self._published) == facts.get("sha256"):
            return True
        drop(self._published)
        return False

    def _add(self, path: Path) -> None:
        shard = Shard(path, self.layout)
        self.places.update((key, (shard, index)) for index, key in enumerate(shard.keys()))

    def append(self, row: Row) -> bool:
        """Take a finished row; says whether this is the time to put rows on the disk."""
        self._waiting.append(row)
        self._tokens += len(row["gold"])
        self._bytes += sum(values.nbytes for values in row.values())
        return self._tokens >= PART_TOKENS or self._bytes >= PART_BYTES

    def flush(self) -> None:
        """Put the rows that wait on the disk, if there are any."""
        if not self._waiting:
            return
        number = len(list(self.directory.glob("part_*.safetensors")))
        path = self.directory / f"part_{number:06}.safetensors"
        made = self.directory / "finished.safetensors"
        write_shard(made, self.layout, self._waiting, [sizes_of(row, self.layout) for row in self._waiting])
        publish(made, path)
        self._waiting.clear()
        self._tokens = self._bytes = 0
        self._add(path)

    def publish(self, keys: Sequence[str], output: Path, extra: Mapping[str, np.ndarray]) -> str:
        """Write the rows of ``keys`` and keep them, under a second name, and no others; returns the file's sha256.

        Args:
            keys: in the order in which rows are written.
            output: file to write.
            extra: further arrays of it.
        """
        places = [self.places[key] for key in keys]
        rows, sizes = (shard.row(index) for shard, index in places), [shard.sizes(index) for shard, index in places]
        write_shard(output, self.layout, rows, sizes, extra)
        digest = sha256(output)
        second = self._published.with_suffix(".new")
        second.unlink(missing_ok=True)
        try:
            os.link(output, second)
        except OSError:  # not on this file system
            shutil.copyfile(output, second)
        os.replace(second, self._published)
        write_json(self._facts, {"sha256": digest})
        for path in self.directory.glob("part_*.safetensors"):
            discard(path)
        return digest
