"""Batches of rows of similar length: random in order, little padding, and the same again after a resume."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from pipestill.job.processes import ALONE, Processes

WINDOW = 50  # batches that are sorted by length among themselves; more means less padding and less chance


class LengthGroupedBatches(Sampler[list[int]]):
    """Every row once an epoch, in batches of ``batch_size``; the order depends on ``seed`` and ``epoch`` alone.

    Rows are shuffled, sorted by length within windows of ``WINDOW`` batches, cut into batches, and the batches are
    shuffled. Only one batch may be smaller. Set ``epoch`` before each epoch: the order is no state that a resume has
    to bring back.

    Args:
        lengths: tokens of each row.
        batch_size: rows of a batch.
        seed: of the order.
        processes: that share each batch: this one gets every ``size``-th of its rows, so that all have rows of like
            lengths, and none where there are fewer rows than processes.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, processes: Processes = ALONE):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.processes = processes
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Rows of each batch of this epoch, or this process's share of them."""
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.lengths))
        batches = []
        size = WINDOW * self.batch_size
        for start in range(0, len(order), size):
            window = order[start : start + size]
            window = window[np.argsort(self.lengths[window], kind="stable")]
            batches += [window[i : i + self.batch_size] for i in range(0, len(window), self.batch_size)]
        for index in generator.permutation(len(batches)):
            yield self.processes.share(batches[index]).tolist()


def batches_by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """All rows in batches of ``batch_size``, sorted by length: for evaluation, where the order does not matter."""
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
