"""Scores of labels behind prompts, whatever model gives them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CPU_TOKENS, ACCELERATOR_TOKENS = 1024, 8192  # budget per batch; on a CPU larger batches only add padding


@dataclass(frozen=True)
class LabelScores:
    """Scores of examples, in the order of their prompts.

    Attributes:
        mean_log_prob: ``[examples, labels]`` float64, log-probability of the label's tokens divided by their number
            (natural log).
        label_mass: ``[examples]`` float64, probability that the first token is one that a label begins with.
        greedy: ``[examples, labels]`` bool, whether the likeliest first token of the whole vocabulary is the one that
            the label begins with; of labels that begin alike all are true, or none.
        shared: tokens that all prompts begin with and that were read once for all of them.
    """

    mean_log_prob: np.ndarray
    label_mass: np.ndarray
    greedy: np.ndarray
    shared: int = 0

    def of(self, rows: Sequence[int]) -> "LabelScores":
        """Those of some examples."""
        return LabelScores(self.mean_log_prob[rows], self.label_mass[rows], self.greedy[rows], self.shared)


def gather(scored: Iterator[tuple[list[int], LabelScores]], prompts: int, labels: int) -> LabelScores:
    """Scores of all ``prompts``, in their order, from those of their batches."""
    shape = prompts, labels
    whole = LabelScores(np.empty(shape), np.empty(prompts), np.empty(shape, dtype=bool))
    for indices, scores in scored:
        whole.mean_log_prob[indices], whole.label_mass[indices] = scores.mean_log_prob, scores.label_mass
        whole.greedy[indices] = scores.greedy
    return whole
