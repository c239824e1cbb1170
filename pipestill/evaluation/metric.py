"""One metric of one run, kept so that it can be taken over any weighting of the examples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np


def _first(means: np.ndarray) -> np.ndarray:
    return means[..., 0]


@dataclass(frozen=True)
class Metric:
    """One metric of one run: a function of means over examples.

    Attributes:
        statistics: ``[examples, k]``, what each example contributes.
        value: maps their (weighted) means ``[..., k]`` to the metric ``[...]``; by default the mean itself.
        highest: the largest value that the metric can take.
        biased_up: whether noise can only add to it, as to a sum of absolute values; see
            :func:`~pipestill.evaluation.statistics.biased_interval`.
        strata: ``[examples]``, the group that each example is resampled within; none: all are one group.
        lowest: the smallest value.
        weights: ``[examples]``, how much each counts, on any scale; none: all the same.
        imagined: ``[m, k]``, examples that the interval of few takes to have been seen beside them, as what a function
            of their means is of few may vary less than what it is of all; see :meth:`padded`.
    """

    statistics: np.ndarray
    value: Callable[[np.ndarray], np.ndarray] = _first
    highest: float = 1.0
    biased_up: bool = False
    strata: np.ndarray | None = None
    lowest: float = 0.0
    weights: np.ndarray | None = None
    imagined: np.ndarray | None = None

    @classmethod
    def mean_of(cls, values: np.ndarray, highest: float = 1.0, lowest: float = 0.0) -> "Metric":
        """The mean of one value per example, ``values`` ``[examples]``."""
        return cls(np.asarray(values, dtype=np.float64)[:, None], highest=highest, lowest=lowest)

    def over(self, weights: np.ndarray, strata: np.ndarray | None) -> "Metric":
        """The same metric of weighted examples, ``[examples]`` of any scale, which are resampled within ``strata``."""
        weighted = self.statistics * weights[:, None] * (len(weights) / weights.sum())
        return replace(self, statistics=weighted, strata=strata, weights=weights)

    def padded(self) -> "Metric":
        """The same metric with the imagined examples among those that count, all in one group."""
        if self.imagined is None:
            return self
        counted = self.statistics[self.shares > 0]
        imagined = self.imagined * (len(self.statistics) / len(counted))
        return replace(self, statistics=np.concatenate([counted, imagined]), strata=None, weights=None, imagined=None)

    @property
    def is_mean(self) -> bool:
        """True for the mean of one value per example."""
        return self.value is _first

    @property
    def is_bounded(self) -> bool:
        """True if its range ends on both sides."""
        return bool(np.isfinite(self.highest - self.lowest))

    @property
    def shares(self) -> np.ndarray:
        """Share of each example in the weight of all, ``[examples]``."""
        n = len(self.statistics)
        return np.full(n, 1 / n) if self.weights is None else self.weights / self.weights.sum()

    @property
    def n(self) -> float:
        """Examples; where they count differently, as many as would tell as much if they counted the same."""
        return 1 / float((self.shares**2).sum())

    @property
    def stratum(self) -> np.ndarray:
        """Number of each example's group from 0, ``[examples]``."""
        if self.strata is None:
            return np.zeros(len(self.statistics), dtype=int)
        return np.unique(self.strata, return_inverse=True)[1]

    def estimate(self) -> float:
        """The metric over all examples."""
        return float(self.value(self.statistics.mean(axis=0)))


class Metrics(Mapping[str, Metric]):
    """Metrics by name, each made whenever it is asked for, as those of many examples are large.

    Args:
        makers: what makes each.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Metric]]):
        self.makers = dict(makers)

    def __getitem__(self, name: str) -> Metric:
        """A metric."""
        return self.makers[name]()

    def __iter__(self) -> Iterator[str]:
        """Over the names."""
        return iter(self.makers)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.makers)


class OfRuns(Sequence[Metric]):
    """One metric of each run, made whenever it is asked for.

    Args:
        name: of the metric.
        runs: the metrics of each.
    """

    def __init__(self, name: str, runs: Sequence[Mapping[str, Metric]]):
        self.name, self.runs = name, runs

    def __getitem__(self, place: int) -> Metric:
        """That of a run."""
        return self.runs[place][self.name]

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self.runs)
