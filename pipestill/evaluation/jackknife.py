"""The jackknife: a number without each example in turn, and what that says of its variance over examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipestill.evaluation.metric import Metric

PLACES = 12  # decimals; numbers that agree so far are equal


@dataclass(frozen=True)
class Jackknife:
    """A number without each example that counts in it.

    Attributes:
        whole: the number with all of them.
        values: without each, ``[examples]``.
        shares: share of each in the weight of all, ``[examples]``.
        stratum: group of each, ``[examples]``.
        n: examples; where they count differently, as many as would tell as much if they counted the same.
    """

    whole: float
    values: np.ndarray
    shares: np.ndarray
    stratum: np.ndarray
    n: float

    @classmethod
    def of(cls, metrics: Sequence[Metric], n: float) -> "Jackknife":
        """Of the mean over runs of a metric of the same ``n`` examples, or groups of them."""
        counts = metrics[0].shares > 0
        values = np.mean([_without_each(metric)[counts] for metric in metrics], axis=0)
        whole = float(np.mean([metric.estimate() for metric in metrics]))
        return cls(whole, values, metrics[0].shares[counts], metrics[0].stratum[counts], n)

    def __sub__(self, other: "Jackknife") -> "Jackknife":
        """Of the difference of two numbers over the same examples."""
        return replace(self, whole=self.whole - other.whole, values=self.values - other.values)

    @cached_property
    def _alone(self) -> np.ndarray:
        """True for the only example of its stratum, ``[examples]``."""
        return np.bincount(self.stratum)[self.stratum] == 1

    @property
    def variance(self) -> float:
        """Variance of the number over examples; those alone in their stratum vary about the whole."""
        sizes = np.bincount(self.stratum)
        centres = np.bincount(self.stratum, self.values) / np.maximum(sizes, 1)
        own = sizes[self.stratum]
        centre = np.where(self._alone, self.whole, centres[self.stratum])
        factor = np.where(self._alone, 1 - self.shares, (own - 1) / own)
        return float((factor * (self.values - centre) ** 2).sum())

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance."""
        means = len(np.unique(self.stratum[~self._alone])) + bool(self._alone.any())
        return len(self.values) - means

    @cached_property
    def telling(self) -> int:
        """Examples that contribute something else than most of their stratum, or of those alone in theirs."""
        groups, keys = np.where(self._alone, -1, self.stratum), np.round(self.values - self.whole, PLACES)
        repeats = [np.unique(keys[groups == group], return_counts=True)[1].max() for group in np.unique(groups)]
        return len(keys) - int(sum(repeats))


def _without_each(metric: Metric) -> np.ndarray:
    """The metric without each example, ``[examples]``; the others of its stratum count the more."""
    statistics, n, stratum = metric.statistics, len(metric.statistics), metric.stratum
    sizes = np.bincount(stratum)
    sums = np.zeros((len(sizes), statistics.shape[1]))
    np.add.at(sums, stratum, statistics)
    own, mean = sizes[stratum], statistics.mean(axis=0)
    others = (sums[stratum] / own[:, None] - statistics) * (own / np.maximum(own - 1, 1) / n)[:, None]
    means = mean + others
    alone = (own == 1) & (metric.shares < 1)
    means[alone] = (mean - statistics[alone] / n) / (1 - metric.shares[alone])[:, None]
    return metric.value(means)
