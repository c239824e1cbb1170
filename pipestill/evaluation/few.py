"""Intervals where examples are few, or few of them differ, or runs lie apart: few values, resampled, know no others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, sqrt

from pipestill.evaluation.jackknife import Jackknife
from pipestill.evaluation.metric import Metric
from pipestill.evaluation.statistics import LEVEL
from pipestill.evaluation.student import quantile, share_within

POWER = 0.8

Interval = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """A source of a number's variance.

    Attributes:
        variance: that it adds.
        degrees: degrees of freedom that the variance is known with.
    """

    variance: float
    degrees: int


@dataclass(frozen=True)
class Error:
    """Error of a number by Student's t, with the degrees of freedom of Satterthwaite but no more than examples give.

    Attributes:
        parts: its sources; examples first.
    """

    parts: Sequence[Part]

    @property
    def variance(self) -> float:
        """Of all parts together."""
        return sum(part.variance for part in self.parts)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance."""
        known = [part for part in self.parts if part.variance]
        return min(known[0].degrees, self.variance**2 / sum(part.variance**2 / part.degrees for part in known))

    @property
    def reach(self) -> float:
        """Standard errors that an interval reaches to either side."""
        return quantile(LEVEL, self.degrees)

    def p(self, distance: float) -> float:
        """p-value of a number so far from nothing."""
        return 1 - share_within(abs(distance) / sqrt(self.variance), self.degrees)

    def detectable(self) -> float:
        """The distance from nothing that a test at 5 % finds with 80 % power."""
        return (self.reach + quantile(2 * POWER - 1, self.degrees)) * sqrt(self.variance)


def symmetric(estimate: float, error: Error, lowest: float, highest: float) -> Interval:
    """Student's interval, cut where values end."""
    half = error.reach * sqrt(error.variance)
    return max(lowest, estimate - half), min(highest, estimate + half)


def logarithmic(estimate: float, error: Error, lowest: float, highest: float) -> Interval:
    """Student's interval of the logarithm, of a number whose single values may lie far above it."""
    if estimate <= 0:
        return symmetric(estimate, error, lowest, highest)
    factor = exp(error.reach * sqrt(error.variance) / estimate)
    return estimate / factor, estimate * factor


def wilson(estimate: float, error: Error, lowest: float, highest: float) -> Interval:
    """Wilson's interval of a mean that lies in a range, which is a share of the range: it never leaves it.

    The number of examples is the one whose share would have this error (Korn and Graubard, 1998).
    """
    span = highest - lowest
    share, variance = (estimate - lowest) / span, error.variance / span**2
    spread = share * (1 - share)
    if spread <= 0:  # the variance is of training alone
        return symmetric(estimate, error, lowest, highest)
    shrink = error.reach**2 * variance / spread
    centre = (share + shrink / 2) / (1 + shrink)
    half = sqrt(shrink * (spread + shrink / 4)) / (1 + shrink)
    return lowest + span * (centre - half), lowest + span * (centre + half)


def all_equal(value: float, n: float, lowest: float, highest: float) -> Interval | None:
    """The interval of a mean of ``n`` examples that all have one value: others have a share that is seldom unseen.

    A share of 1 - 0.05^(1/n), three in n of many, is not among n examples in 5 % of draws. None where values have no
    bounds, so that a single unseen one could move the mean anywhere.
    """
    if highest - lowest == inf:
        return None
    unseen = 1 - (1 - LEVEL) ** (1 / n)
    return value - unseen * (value - lowest), value + unseen * (highest - value)


def few_examples(
    estimate: float, examples: Jackknife, error: Error, ends: Interval, shape: Callable[..., Interval]
) -> Interval | None:
    """The interval of a number where resamples would not tell it.

    Args:
        estimate: the number.
        examples: the same without each of them.
        error: of the number, by examples and training.
        ends: its range.
        shape: :func:`symmetric` or :func:`wilson`, where examples differ.
    """
    if not isfinite(error.variance):
        return None
    if examples.telling:
        return shape(estimate, error, *ends)
    found = all_equal(estimate, examples.n, *ends)
    if found is None or not error.variance:
        return found
    low, high = symmetric(estimate, error, *ends)
    return min(low, found[0]), max(high, found[1])


def shape_of(metric: Metric) -> Callable[..., Interval]:
    """The interval that suits the range of a metric."""
    if metric.is_bounded:
        return wilson
    return logarithmic if metric.lowest == 0 else symmetric
