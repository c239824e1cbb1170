"""Intervals and tests: against loops, against SciPy, and by how often they are right in simulations."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from pipestill.answers.labels.classification import bin_index, metrics
from pipestill.evaluation.metric import Metric
from pipestill.evaluation.statistics import (
    biased_interval,
    example_weights,
    holm,
    interval,
    mcnemar,
    replicates,
    spread,
    two_sided_p,
)
from support.reports import bootstrap as bootstrap_of


def classifier(rng, gold, skill=1.2):
    """Predictions of one run, and its metrics."""
    scores = rng.normal(size=(len(gold), 3)) + skill * np.eye(3)[gold]
    predicted = scores.argmax(axis=1)
    return predicted, metrics(gold, predicted, scores)


def test_weights_are_resamples_and_depend_on_the_arguments_alone():
    weights = np.concatenate(list(example_weights(70_000, bootstrap_of(60, seed=3))))  # more than one chunk
    assert weights.shape == (60, 70_000)
    counts = weights * 70_000
    assert np.allclose(counts, np.round(counts)) and np.allclose(weights.sum(axis=1), 1)
    assert counts.var() == pytest.approx(1, abs=0.01)  # multinomial: each count is nearly Poisson(1)
    again = np.concatenate(list(example_weights(70_000, bootstrap_of(60, seed=3))))
    assert (weights == again).all()
    assert not (weights == np.concatenate(list(example_weights(70_000, bootstrap_of(60, seed=4))))).all()


def test_replicates_of_one_run_equal_a_loop_with_scikit_learn():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 80)
    predicted, run = classifier(rng, gold)
    bootstrap = bootstrap_of(40)
    samples = replicates([run], bootstrap)
    weights = np.concatenate(list(example_weights(80, bootstrap)))
    for row, weight in enumerate(weights):
        drawn = np.repeat(np.arange(80), np.round(weight * 80).astype(int))
        expected = f1_score(gold[drawn], predicted[drawn], average="macro")
        assert samples["macro_f1"][row] == pytest.approx(expected, abs=1e-12)
        assert samples["accuracy"][row] == pytest.approx((gold[drawn] == predicted[drawn]).mean(), abs=1e-12)


def test_equal_runs_add_no_variance():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 80)
    _, run = classifier(rng, gold)
    one, three = replicates([run], bootstrap_of(50)), replicates([run, run, run], bootstrap_of(50))
    for name in one:
        assert np.allclose(one[name], three[name])


def test_variance_between_runs_is_that_of_their_mean():
    # Runs that are constant over the examples: all variance comes from the seeds, and must be s^2 / n.
    values = np.array([0.2, 0.5, 0.6, 0.3])
    runs = [{"metric": Metric.mean_of(np.full(10, value))} for value in values]
    samples = replicates(runs, bootstrap_of(40_000))["metric"]
    assert samples.mean() == pytest.approx(values.mean(), abs=0.002)
    assert samples.var() == pytest.approx(values.var(ddof=1) / len(values), rel=0.03)


def test_streams_draw_seeds_apart_but_examples_together():
    rng = np.random.default_rng(0)
    constant = [{"metric": Metric.mean_of(np.full(10, value))} for value in (0.2, 0.5, 0.9)]
    a, b = (replicates(constant, bootstrap_of(4000), stream)["metric"] for stream in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06
    single = [{"metric": Metric.mean_of(rng.random(50))}]
    assert (
        replicates(single, bootstrap_of(50), 1)["metric"] == replicates(single, bootstrap_of(50), 2)["metric"]
    ).all()


def test_replicates_stay_within_the_metric():
    runs = [{"metric": Metric.mean_of(values)} for values in ([1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 0, 0, 1, 0])]
    samples = replicates(runs, bootstrap_of(2000))["metric"]
    assert samples.min() >= 0 and samples.max() <= 1


def test_interval_covers_the_truth():
    """Three runs on one test set, as in the docstring of ``replicates``: crossed effects of examples and runs."""
    rng = np.random.default_rng(5)

    def right(shape, item, seed_shift):
        return rng.random(shape) < 1 / (1 + np.exp(-(1.5 + item + seed_shift)))

    truth = right(2_000_000, 2 * rng.normal(size=2_000_000), 0.15 * rng.normal(size=2_000_000)).mean()
    covered = 0
    for repetition in range(150):
        items, shifts = 2 * rng.normal(size=300), 0.15 * rng.normal(size=(3, 1))
        runs = [{"accuracy": Metric.mean_of(row)} for row in right((3, 300), items, shifts)]
        low, high = interval(replicates(runs, bootstrap_of(400, seed=repetition))["accuracy"])
        covered += low <= truth <= high
    assert 0.90 <= covered / 150 <= 1.0


def test_difference_of_equal_methods_is_seldom_significant():
    rng = np.random.default_rng(6)
    false_alarms = 0
    for repetition in range(150):
        items = 2 * rng.normal(size=200)
        sides = []
        for stream in (0, 1):
            right = rng.random((3, 200)) < 1 / (1 + np.exp(-(1.0 + items)))
            runs = [{"accuracy": Metric.mean_of(row)} for row in right]
            sides.append(replicates(runs, bootstrap_of(400, seed=repetition), stream)["accuracy"])
        false_alarms += two_sided_p(sides[0] - sides[1]) < 0.05
    assert false_alarms / 150 < 0.08


def test_pairing_narrows_the_interval_of_a_difference():
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.4
    a = np.where(hard, 0.0, 1.0)
    b = np.where(rng.random(400) < 0.03, 1 - a, a)
    x, y = (replicates([{"m": Metric.mean_of(values)}], bootstrap_of(4000))["m"] for values in (a, b))
    low, high = interval(x - y)
    expected = 2 * 1.96 * (a - b).std() / 20
    assert high - low == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("overconfidence", [0.02, 0.05, 0.12])
def test_biased_interval_of_the_ece_covers_the_truth(overconfidence):
    rng = np.random.default_rng(0)

    def draw(n):  # confidences of 0.34 to 1, each too high by the same amount
        confidence = np.clip(0.33 + 0.67 * rng.beta(4, 2, n), 0.34, 0.999)
        correct = rng.random(n) < confidence - overconfidence
        return np.eye(10)[bin_index(confidence)] * (confidence - correct)[:, None]

    def total(means):
        return np.abs(means).sum(axis=-1)

    truth = total(draw(1_000_000).mean(axis=0))
    covered = by_percentiles = 0
    for repetition in range(150):
        metric = Metric(draw(200), total, biased_up=True)
        samples = replicates([{"ece": metric}], bootstrap_of(300, seed=repetition))["ece"]
        low, high = biased_interval(samples, metric.estimate())
        assert 0 <= low <= metric.estimate() <= high
        covered += low <= truth <= high
        by_percentiles += interval(samples)[0] <= truth <= interval(samples)[1]
    assert covered / 150 >= 0.9
    assert covered >= by_percentiles - 3


@pytest.mark.parametrize(
    ("only_a", "only_b"),
    [(0, 0), (1, 0), (3, 9), (9, 3), (10, 10), (40, 71), (700, 800), (5_200, 5_100), (0, 10_001), (90_000, 91_000)],
)
def test_mcnemar_equals_the_binomial_test(only_a, only_b):
    both = 5
    a = np.array([True] * (both + only_a) + [False] * only_b)
    b = np.array([True] * both + [False] * only_a + [True] * only_b)
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)


def test_holm():
    # Worked by hand: .01*4, max(.04, .02*3), max(.06, .03*2), max(.06, .04*1)
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_two_sided_p():
    assert two_sided_p(np.zeros(100)) == 1.0
    assert two_sided_p(np.full(999, 0.1)) == pytest.approx(2 / 1000)
    assert two_sided_p(np.linspace(-1, 3, 999)) == pytest.approx(0.5, abs=0.01)


def test_resamples_within_strata():
    strata = np.array([1, 0, 1, 1, 0, 2])
    weights = np.concatenate(list(example_weights(6, bootstrap_of(20_000, seed=1), strata)))
    for group, size in ((0, 2), (1, 3), (2, 1)):
        np.testing.assert_allclose(weights[:, strata == group].sum(axis=1), size / 6)
        assert 36 * weights[:, strata == group].var(axis=0).mean() == pytest.approx(1 - 1 / size, abs=0.02)
    whole = np.concatenate(list(example_weights(6, bootstrap_of(50, seed=1), np.zeros(6))))
    assert (whole == np.concatenate(list(example_weights(6, bootstrap_of(50, seed=1))))).all()


def test_spread_is_split_between_training_and_sampling():
    """On average the estimates are the variances that went in, also where runs share what a sampling seed draws."""
    rng = np.random.default_rng(0)
    training, shared, own, found = 2.0, 1.0, 1.5, []
    for _ in range(4000):
        values = rng.normal(0, training, (4, 1)) + rng.normal(0, shared, 3) + rng.normal(0, own, (4, 3))
        found.append(spread(values, sampled=True))
    of_training, of_sampling = (np.square(found)).mean(axis=0)
    assert of_training == pytest.approx(training**2, rel=0.06)
    assert of_sampling == pytest.approx(shared**2 + own**2, rel=0.05)


def test_spread_that_the_numbers_of_seeds_do_not_tell():
    values = np.array([[3.0, 5.0], [4.0, 8.0]])
    assert spread(values[:1], sampled=True) == (None, pytest.approx(np.sqrt(2)))
    assert spread(values[:, :1], sampled=True) == (None, None)
    assert spread(values[:, :1], sampled=False) == (pytest.approx(np.sqrt(0.5)), None)
    assert spread(values[:1, :1], sampled=False) == (None, None)
    assert spread(np.array([[1.0, 2.0], [2.0, 1.0]]), sampled=True)[0] == 0.0  # all of it is sampling
