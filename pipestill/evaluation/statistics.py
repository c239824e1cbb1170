"""The bootstrap of metrics that are measured on the same examples by several runs, and tests.

Every metric is a function of *means over examples*, so a bootstrap resample is one row of weights and all resamples are
one matrix product: macro F1 from confusion counts, a calibration error from the gaps of its bins, a mean from itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import exp, lgamma, log

import numpy as np

from pipestill.evaluation.groups import condensed
from pipestill.evaluation.metric import Metric
from pipestill.settings.evaluation import StatisticsConfig

LEVEL = 0.95
CHUNK_ELEMENTS = 4_000_000  # of the weights held at a time: 32 MB
GROUPED_ELEMENTS = 1_000_000  # of those of groups: of very many examples the statistics themselves are large
WHOLE = 10_000  # discordant examples up to which McNemar's test counts in integers, whose length grows with them


def example_weights(
    n_examples: int, bootstrap: StatisticsConfig, strata: np.ndarray | None = None, elements: int = CHUNK_ELEMENTS
) -> Iterator[np.ndarray]:
    """Resamples of ``n_examples`` with replacement, as chunks of weights ``[<= resamples, examples]`` that sum to 1.

    They depend only on the arguments: two methods replicated over the same examples meet the same resamples, which
    is what pairs them.

    Args:
        n_examples: how many there are.
        bootstrap: how often, and from which seed.
        strata: ``[examples]``; each group keeps its size in every resample.
        elements: of a chunk.
    """
    rng = np.random.default_rng([bootstrap.seed, 0, n_examples])
    chunk = max(1, elements // n_examples)
    groups = np.zeros(n_examples, dtype=int) if strata is None else np.asarray(strata)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    for start in range(0, bootstrap.resamples, chunk):
        rows = min(chunk, bootstrap.resamples - start)
        weights = np.empty((rows, n_examples))
        for places in members:
            weights[:, places] = _counts(rng, rows, len(places)) / n_examples
        yield weights


def _counts(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """How often each of ``size`` examples is drawn, ``[rows, size]``."""
    drawn = rng.integers(0, size, (rows, size))
    drawn += np.arange(rows)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def replicates(
    runs: Sequence[Mapping[str, Metric]], bootstrap: StatisticsConfig, stream: int = 0
) -> dict[str, np.ndarray]:
    """Bootstrap replicates ``[resamples]`` of each metric's mean over the runs (seeds) of one experiment.

    The runs share their test examples, so seeds and examples are crossed and vary independently. A replicate is

        mean over all runs of the metric on one resample of the examples, the same for every run
        + mean over ``runs - 1`` runs drawn with replacement - mean over all runs, on the examples as they are,

    the first term carrying the variance of the test set, the second that of training. Drawing one run fewer than
    there are makes the second variance that of the mean of the runs (s^2 / n) without bias, where drawing all of them
    gives (n - 1) / n of it: two thirds for three seeds. Adding the two terms rather than evaluating drawn runs on
    resampled examples counts the noise of single predictions twice and not three times (Owen, "The pigeonhole
    bootstrap", 2007). In a simulation (3 runs, 300 examples, accuracy .71 with a standard error of .026 from the test
    set, 800 repetitions) 97, 95 and 91 % of the intervals covered the truth, and 1, 3 and 6 % of equal methods differed
    at 5 %, where training shifted a run's accuracy by 0, .02 and .04 (standard deviation). Runs that lie further apart
    are too few to tell how far (82 and 10 % at .12), so that these replicates do not serve there: see
    :func:`~pipestill.evaluation.measured.is_enough`. A single run varies only by its examples.

    Args:
        runs: one mapping of metrics per run, all over the same examples in the same order, with the same strata.
        bootstrap: how often, and from which seed.
        stream: which independent series of drawn runs to use; methods that are compared take different ones.
    """
    names, found = list(runs[0]), []

    def given() -> Iterator[Metric]:
        for metric in (run[name] for name in names for run in runs):
            found.append((metric.estimate(), metric.lowest, metric.highest, len(metric.statistics)))
            yield metric

    metrics = condensed(given())
    estimates, lowest, highest, (n_examples, *_) = zip(*found, strict=True)
    statistics = np.concatenate([metric.statistics for metric in metrics], axis=1)
    elements = CHUNK_ELEMENTS if len(statistics) == n_examples else GROUPED_ELEMENTS
    ends = np.cumsum([metric.statistics.shape[1] for metric in metrics])[:-1]
    chunks = []
    for weights in example_weights(len(statistics), bootstrap, metrics[0].strata, elements):
        means = np.split(weights @ statistics, ends, axis=1)
        chunks.append([metric.value(part) for metric, part in zip(metrics, means, strict=True)])
    by_examples = np.concatenate(chunks, axis=1).reshape(len(names), len(runs), bootstrap.resamples).mean(axis=1)

    estimates = np.array(estimates).reshape(len(names), len(runs))
    rng = np.random.default_rng([bootstrap.seed, 1, stream])
    drawn = rng.integers(0, len(runs), (bootstrap.resamples, max(1, len(runs) - 1)))
    by_runs = estimates[:, drawn].mean(axis=2) - estimates.mean(axis=1, keepdims=True)
    lowest, highest = (np.array(ends).reshape(estimates.shape)[:, :1] for ends in (lowest, highest))
    return dict(zip(names, np.clip(by_examples + by_runs, lowest, highest), strict=True))


def spread(values: np.ndarray, sampled: bool) -> tuple[float | None, float | None]:
    """Two standard deviations of a metric, by training and by sampling, with the method of moments.

    The draws of a sampling seed are the same in all runs, so a value is mean + run + sampling seed + their interaction
    (two-way analysis of variance without replication). The variance of training is that of the runs' means less what
    the interaction leaves in them, at least 0; that of sampling is what a run's values have among themselves.

    Args:
        values: ``[runs, sampling seeds]``.
        sampled: whether answers were drawn; greedy ones have no variance of sampling.

    Returns:
        Standard deviation of training and of sampling: ``None`` where the numbers of runs and seeds do not tell.
    """
    runs, draws = values.shape
    sampling = float(np.sqrt(values.var(axis=1, ddof=1).mean())) if draws > 1 else None
    if runs == 1 or (sampled and draws == 1):
        return None, sampling
    interaction = 0.0
    if draws > 1:
        rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
        interaction = (rest**2).sum() / ((runs - 1) * (draws - 1))
    return float(np.sqrt(max(0.0, values.mean(axis=1).var(ddof=1) - interaction / draws))), sampling


def interval(samples: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The central ``level`` of replicates ``[resamples]``: a percentile interval."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def biased_interval(samples: np.ndarray, estimate: float, level: float = LEVEL) -> tuple[float, float]:
    """An interval where the replicates ``[resamples]`` lie above the estimate as the estimate lies above the truth.

    From the low end of the reflected interval, which takes the bias out twice, to the high end of the centred one,
    which takes it out once: so it holds the estimate too. For the ECE of 200 or 600 predictions it covered 94 to 97 %
    in simulations (75 % where the true error is exactly 0), the percentile interval 0 to 95 %.
    """
    high = interval(samples, level)[1]
    bias = float(samples.mean()) - estimate
    return max(0.0, 2 * estimate - high), max(estimate, high - bias)


def two_sided_p(differences: np.ndarray) -> float:
    """Bootstrap p-value of "no difference" from replicated differences ``[resamples]``.

    Twice the smaller share of replicates on one side of zero, zeros counted on both; one is added to both counts, so
    that it is never 0.
    """
    below, above = np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)
    return min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1))


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Exact two-sided McNemar test that two runs are right equally often, from ``[examples]`` of booleans.

    Binomial(b + c, 1/2) over the examples on which exactly one run is right: in integers up to ``WHOLE`` of them, where
    time grows with their square, and beyond in floating point, to seven digits of ten million.
    """
    only_a = int(np.count_nonzero(correct_a & ~correct_b))
    only_b = int(np.count_nonzero(correct_b & ~correct_a))
    discordant, least = only_a + only_b, min(only_a, only_b)
    if discordant > WHOLE:
        return _long_tail(least, discordant)
    ways = tail = 1
    for k in range(least):
        ways = ways * (discordant - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**discordant)


def _long_tail(least: int, n: int) -> float:
    """Twice the chance of ``least`` or fewer of Binomial(n, 1/2), at most 1: its largest term, and what the others are
    of that."""
    of_next = np.arange(least, 0, -1.0)
    of_next /= n + 1 - of_next
    others = np.exp(np.cumsum(np.log(of_next))).sum()
    largest = lgamma(n + 1) - lgamma(least + 1) - lgamma(n - least + 1) - n * log(2)
    return min(1.0, 2 * exp(largest) * (1 + float(others)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p-values, in the order given."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
