"""A metric over the runs of an experiment, and the difference of two: estimates, intervals and tests.

Where there are enough examples, enough of them differ, and runs add little to the variance, both come from the
bootstrap; else from Student's t.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from pipestill.evaluation.few import Error, Interval, Part, few_examples, shape_of, symmetric
from pipestill.evaluation.groups import condensed
from pipestill.evaluation.jackknife import Jackknife
from pipestill.evaluation.metric import Metric, OfRuns
from pipestill.evaluation.statistics import biased_interval, interval, replicates, two_sided_p
from pipestill.settings.evaluation import StatisticsConfig

ENOUGH = 100  # examples to be resampled; the percentiles of fewer are too narrow
TELLING = 10  # that differ from most; resamples of fewer miss what they have not seen
TESTED = 6  # examples of a test: the signs of five differences are all the same by chance in 1 of 16 cases
SMALL = 1 / 3  # of the variance: what runs may add to be resampled, as two or three do not tell how far others lie
DETECTABLE = 1.96 + 0.84  # standard errors: what a two-sided test at 5 % finds with 80 % power
TINY = 1e-12  # contributions that differ by less are equal


@dataclass(frozen=True)
class Measured:
    """One metric of an experiment.

    Attributes:
        runs: the metric of each run.
        samples: its bootstrap replicates, ``[resamples]``.
    """

    runs: Sequence[Metric]
    samples: np.ndarray

    @cached_property
    def per_seed(self) -> list[float]:
        """Value of each run."""
        return [run.estimate() for run in self.runs]

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return float(np.mean(self.per_seed))

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over the runs; none of one run."""
        return float(np.std(self.per_seed, ddof=1)) if len(self.runs) > 1 else None

    @cached_property
    def condensed(self) -> list[Metric]:
        """The metric of each run, of groups where there are very many examples."""
        return condensed(self.runs)

    @cached_property
    def jackknife(self) -> Jackknife:
        """The mean over the runs without each example."""
        return Jackknife.of(self.condensed, self.runs[0].n)

    @property
    def training(self) -> list[Part]:
        """The part of training in the variance of the mean; none of one run, which varies only by its examples."""
        return [Part(self.sd**2 / len(self.runs), len(self.runs) - 1)] if self.sd is not None else []

    @property
    def testable(self) -> bool:
        """True if examples are enough that a test could find a difference."""
        return float(self.runs[0].shares.max()) <= 1 / TESTED + TINY

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval; none where examples are too few to tell."""
        if not is_enough(self.jackknife, self.training):
            return self._by_student()
        return biased_interval(self.samples, self.mean) if self.runs[0].biased_up else interval(self.samples)

    def _by_student(self) -> Interval | None:
        metric = self.runs[0]
        own = Jackknife.of(condensed(run.padded() for run in self.runs), metric.n)
        error = Error([Part(own.variance, own.degrees), *self.training])
        found = few_examples(own.whole, own, error, (metric.lowest, metric.highest), shape_of(metric))
        if metric.biased_up:  # how far up is not known of few; nothing that noise adds to lies above its resamples
            is_known = found and (not own.telling or is_enough(own, []))
            found = metric.lowest, found[1] if is_known else interval(self.samples)[1]
        return found and (min(found[0], self.mean), max(found[1], self.mean))


def measure(runs: Sequence[Mapping[str, Metric]], bootstrap: StatisticsConfig, stream: int = 0) -> dict[str, Measured]:
    """Every metric of an experiment, resampled as in :func:`~pipestill.evaluation.statistics.replicates`."""
    samples = replicates(runs, bootstrap, stream)
    return {name: Measured(OfRuns(name, runs), samples[name]) for name in runs[0]}


@dataclass(frozen=True)
class Difference:
    """What one experiment is above another, on the same examples.

    Attributes:
        estimate: the difference.
        interval: its 95 % interval; none where examples are too few to tell.
        test: by which the two were compared; none where examples are too few.
        p: that a difference so large comes by chance.
        detectable: the true difference that the test finds with 80 % power; none where no example tells.
    """

    estimate: float
    interval: Interval | None
    test: Literal["bootstrap", "t"] | None
    p: float | None
    detectable: float | None


def difference(a: Measured, b: Measured) -> Difference:
    """Compare two experiments, paired by examples.

    Swapping the methods of examples at will gives 2^n signs of n differences, so no p-value is below 2 / 2^n.
    """
    own, training, estimate = a.jackknife - b.jackknife, [*a.training, *b.training], a.mean - b.mean
    least = min(1.0, 2.0 ** (1 - _differing(a, b)))
    if is_enough(own, training):
        samples = a.samples - b.samples
        p = max(least, two_sided_p(samples))
        return Difference(estimate, interval(samples), "bootstrap", p, DETECTABLE * float(samples.std(ddof=1)))
    if not a.testable:
        return Difference(estimate, None, None, None, None)
    error = Error([Part(own.variance, max(1, own.telling)), *training])
    span = a.runs[0].highest - a.runs[0].lowest
    found = few_examples(estimate, own, error, (-span, span), symmetric)
    p = error.p(estimate) if error.variance else float(estimate == 0)
    return Difference(estimate, found, "t", max(least, p), error.detectable() if own.telling else None)


def is_enough(examples: Jackknife, training: Sequence[Part]) -> bool:
    """True if resamples tell the variance of a number.

    There must be enough examples, enough of them must differ, and training must be a small part: the resamples know the
    two or three runs only, and not how little these say of others, which is what Student's t is for.

    Args:
        examples: the number without each of them.
        training: what runs add to its variance; none where only the examples are asked about.
    """
    of_training = sum(part.variance for part in training)
    is_small = of_training <= SMALL * (of_training + examples.variance)
    return examples.n >= ENOUGH and examples.telling >= TELLING and is_small


def _differing(a: Measured, b: Measured) -> int:
    """Examples on which two experiments differ."""
    means = [np.mean([run.statistics for run in each.condensed], axis=0) for each in (a, b)]
    return int((np.abs(means[0] - means[1]) > TINY).any(axis=1).sum())
