"""Very many examples: random groups of them are resampled, and say the same as the examples."""

import numpy as np
import pytest

from pipestill.answers.labels.classification import metrics
from pipestill.evaluation.groups import LEAST, MANY, condensed, groups_of
from pipestill.evaluation.metric import Metric
from pipestill.evaluation.statistics import example_weights, replicates
from support.reports import bootstrap

ROWS = MANY * 3 + 1


def classifier(rng, rows):
    gold = rng.integers(0, 3, rows)
    scores = rng.normal(size=(rows, 3)) + 1.2 * np.eye(3)[gold]
    return metrics(gold, scores.argmax(axis=1), scores)


def test_up_to_ten_thousand_examples_are_resampled_one_by_one():
    metric = Metric.mean_of(np.arange(MANY) % 2)
    assert groups_of(metric) is None and condensed([metric])[0] is metric
    assert (condensed([metric])[0].statistics == metric.statistics).all()


def test_a_metric_of_groups_is_that_of_their_examples():
    run = classifier(np.random.default_rng(0), ROWS)
    for metric, grouped in zip(run.values(), condensed(list(run.values())), strict=True):
        assert len(grouped.statistics) == MANY
        assert grouped.estimate() == pytest.approx(metric.estimate(), abs=1e-12)
        assert grouped.shares.sum() == pytest.approx(1)


def test_groups_vary_as_examples_do():
    run = classifier(np.random.default_rng(1), ROWS)
    samples = replicates([run], bootstrap(300))
    for name in ("accuracy", "macro_f1", "nll"):
        one_by_one = [
            run[name].value(weights @ run[name].statistics) for weights in example_weights(ROWS, bootstrap(300))
        ]
        assert samples[name].std() == pytest.approx(np.concatenate(one_by_one).std(), rel=0.15)


def test_resamples_of_groups_keep_the_size_of_all_and_of_each_test_set():
    # A mean of ones varies only if sizes do; groups are of two sizes, and test sets of any.
    strata = np.repeat([0, 1, 2], [ROWS - 1003, 1000, 3])
    for members in (np.ones(ROWS), (strata == 1).astype(float)):
        metric = Metric.mean_of(np.ones(ROWS)).over(members, strata)
        samples = replicates([{"m": metric}], bootstrap(50))["m"]
        assert np.ptp(samples) < 1e-12
    grouped = condensed([metric])[0]
    assert len(grouped.statistics) == MANY // 3 + LEAST + 3  # a small test set keeps its examples
