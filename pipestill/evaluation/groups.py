"""Very many examples, put together at random into groups that are resampled as single examples.

A resample of n examples takes n draws, and precision of an interval grows no further with what is drawn from: of G
groups the variance of a mean is known to sqrt(2 / G) of itself, 1.4 % for ten thousand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pipestill.evaluation.metric import Metric

MANY = 10_000  # examples; up to here each is resampled by itself
LEAST = 1_000  # groups of a stratum, however many strata there are


@dataclass(frozen=True)
class Groups:
    """A division of examples.

    Attributes:
        of_examples: number of each example's group, ``[examples]``.
        strata: of each group, ``[groups]``: those of the same size and stratum, so that resamples keep their size.
    """

    of_examples: np.ndarray
    strata: np.ndarray

    def condense(self, metric: Metric) -> Metric:
        """The same metric with groups as its examples."""
        groups, scale = len(self.strata), len(self.strata) / len(self.of_examples)
        sums = [np.bincount(self.of_examples, column, groups) for column in metric.statistics.T]
        weights = np.bincount(self.of_examples, metric.shares, groups)
        return replace(metric, statistics=scale * np.stack(sums, axis=1), strata=self.strata, weights=weights)


def groups_of(metric: Metric) -> Groups | None:
    """The groups of a metric's examples, the same for all metrics of the same strata; none where examples are few."""
    n = len(metric.statistics)
    if n <= MANY:
        return None
    stratum, rng = metric.stratum, np.random.default_rng([2, n])
    sizes = np.bincount(stratum)
    most = max(LEAST, MANY // len(sizes))
    of_examples, strata, start = np.empty(n, dtype=int), [], 0
    for number, size in enumerate(sizes):
        groups = min(most, size)
        members = rng.permutation(np.flatnonzero(stratum == number))
        of_examples[members] = start + np.arange(size) % groups
        strata.append(2 * number + (np.arange(groups) < size % groups))
        start += groups
    return Groups(of_examples, np.concatenate(strata))


def condensed(metrics: Iterable[Metric]) -> list[Metric]:
    """Metrics of the same examples and strata; of groups where there are very many. Each is asked for once."""
    found, groups = [], None
    for number, metric in enumerate(metrics):
        groups = groups if number else groups_of(metric)
        found.append(groups.condense(metric) if groups else metric)
    return found
