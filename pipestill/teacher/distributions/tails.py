"""The shape of the teacher's tails on average: the mass that ``topk`` does not store is spread in proportion to it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipestill.io.digests import json_digest
from pipestill.io.seals import discard, seal
from pipestill.job.state import is_whole
from pipestill.models.rows import Row, supervised
from pipestill.teacher.distributions.arrays import create_arrays, open_arrays

MEASURED_TOKENS = 8192  # supervised tokens that the shape is measured on
NAME = "tail_sums"


def measured(rows: Mapping[str, Row]) -> set[str]:
    """Keys of the rows that the shape is measured on: those with the lowest keys, a random choice from all shards."""
    chosen, tokens = set(), 0
    for key in sorted(rows):
        if tokens < MEASURED_TOKENS:
            chosen.add(key)
            tokens += len(supervised(rows[key]["labels"]))
    return chosen


class TailSums:
    """Sums of the tails over the measured rows of a shard; integers, so that neither order nor sharding changes them.

    Attributes:
        keys: of the measured rows.
        values: [vocab] of int64.
        done: whether all measured rows are in.

    Args:
        directory: that keeps the sums when they are done.
        keys: of the measured rows.
        vocab: ids.
    """

    def __init__(self, directory: Path, keys: Sequence[str], vocab: int):
        self.keys = frozenset(keys)
        self._path = Path(directory) / f"tails_{json_digest(sorted(keys))[:16]}.safetensors"
        self.done = is_whole(self._path)
        self.values = open_arrays(self._path)[NAME].copy() if self.done else np.zeros(vocab, np.int64)

    def save(self) -> None:
        """Keep the sums, and none of other rows."""
        for path in self._path.parent.glob("tails_*.safetensors"):
            discard(path)
        with create_arrays(self._path, {NAME: ("i8", self.values.shape)}) as arrays:
            arrays[NAME][:] = self.values
        seal(self._path)
        self.done = True


def mean_tail(sums: Iterable[np.ndarray]) -> np.ndarray:
    """Log-probabilities [vocab] of float64 from the sums of all shards; no token is impossible."""
    total = sum(sums) + 1.0
    return np.log(total / total.sum())
