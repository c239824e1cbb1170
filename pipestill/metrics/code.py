"""Metrics of code: pass@k, and whether a solution is the reference."""

from collections.abc import Sequence
from math import comb

import numpy as np

SIZES = (1, 2, 3, 5, 10, 20, 50, 100)  # k of pass@k


def pass_at(k: int, passed: np.ndarray) -> np.ndarray:
    """The probability that of ``k`` answers, drawn without replacement, one passes, ``[examples]``.

    Its mean over draws is that of ``k`` answers of the model, without bias: 1 - C(n - c, k) / C(n, k), where ``c`` of
    ``n`` answers pass (Chen et al. 2021, "Evaluating large language models trained on code").

    Args:
        k: at most the number of answers.
        passed: ``[answers, examples]``, 1 where one passes, else 0.
    """
    n = len(passed)
    failing = n - np.rint(passed.sum(axis=0)).astype(int)
    of_failing = np.array([1 - comb(count, k) / comb(n, k) for count in range(n + 1)])
    return of_failing[failing]


def same_code(answer: str, references: Sequence[str]) -> float:
    """1 where an answer is one of its references but for spaces at the ends of lines and empty lines, else 0."""
    return float(_lines(answer) in map(_lines, references))


def _lines(code: str) -> list[str]:
    return [line.rstrip() for line in code.splitlines() if line.strip()]
