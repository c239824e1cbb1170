"""Intervals and tests of few examples: never surer than they can be."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from pipestill.answers.labels.classification import macro_f1_metric
from pipestill.errors import UserError
from pipestill.evaluation.evaluate import summarise
from pipestill.evaluation.few import Error, Part, wilson
from pipestill.evaluation.jackknife import Jackknife
from pipestill.evaluation.measured import Measured, difference, measure
from pipestill.evaluation.metric import Metric
from pipestill.evaluation.statistics import holm, interval, two_sided_p
from pipestill.evaluation.student import quantile, share_within
from pipestill.reporting.comparisons import compare
from pipestill.reporting.gap import gap_closed
from support.reports import bootstrap, said
from support.studies import study_of

NOT_RESAMPLED = np.empty(0)


def measured(*runs, strata=None, highest=1.0):
    """A metric of runs whose examples are too few to be resampled."""
    metrics = [Metric.mean_of(values, highest=highest) for values in runs]
    if strata is not None:
        weights = 1 / np.bincount(strata)[strata]
        metrics = [metric.over(weights, np.asarray(strata)) for metric in metrics]
    return Measured(metrics, NOT_RESAMPLED)


@pytest.mark.parametrize("degrees", [1, 1.3, 2, 5.5, 30, 5000])
def test_students_distribution_is_that_of_scipy(degrees):
    for t in (0.1, 1, 3, 12):
        assert share_within(t, degrees) == pytest.approx(1 - 2 * student.sf(t, degrees), abs=1e-9)
    for share in (0.6, 0.95, 0.999):
        assert quantile(share, degrees) == pytest.approx(student.ppf((1 + share) / 2, degrees), rel=1e-6)


@pytest.mark.parametrize(("right", "n"), [(1, 10), (5, 10), (40, 300)])
def test_wilsons_interval_is_that_of_scipy(right, n):
    share = right / n
    found = wilson(share, Error([Part(share * (1 - share) / n, 10**6)]), 0.0, 1.0)
    assert found == pytest.approx(tuple(binomtest(right, n).proportion_ci(method="wilson")), abs=1e-5)


def test_variance_of_a_mean_is_that_of_its_examples():
    values, strata = np.array([3.0, 5.0, 4.0, 9.0, 1.0]), np.array([0, 0, 0, 1, 1])
    own = measured(values).jackknife
    assert own.variance == pytest.approx(values.var(ddof=1) / 5) and own.degrees == own.telling == 4
    own = measured(values, strata=strata).jackknife  # the unweighted mean of two test sets
    expected = (values[:3].var(ddof=1) / 3 + values[3:].var(ddof=1) / 2) / 4
    assert own.variance == pytest.approx(expected) and own.degrees == own.telling == 3
    assert own.n == pytest.approx(1 / (3 / 36 + 2 / 16))


def test_test_sets_of_one_example_vary_about_the_mean_of_all():
    values = np.array([30.0, 34.0, 41.0])
    own = measured(values, strata=[0, 1, 2], highest=100.0).jackknife
    assert own.variance == pytest.approx(values.var(ddof=1) / 3) and own.degrees == 2


def test_a_metric_without_each_example_is_that_of_the_others():
    rng = np.random.default_rng(0)
    gold, predicted = rng.integers(0, 3, (2, 12))
    own = Jackknife.of([macro_f1_metric(gold, predicted, 3)], 12)
    for left_out in range(12):
        others = np.arange(12) != left_out
        assert own.values[left_out] == pytest.approx(macro_f1_metric(gold[others], predicted[others], 3).estimate())


@pytest.mark.parametrize("n", [1, 2, 30, 600])
def test_a_share_of_none_or_all_has_an_interval(n):
    """One that covers the largest share which shows nothing in 5 % of draws."""
    found = measured(np.zeros(n)).interval
    assert found[0] == 0 and (1 - found[1]) ** n == pytest.approx(0.05)
    assert measured(np.ones(n)).interval == pytest.approx((1 - found[1], 1))


def test_a_few_right_of_many_have_an_interval_that_begins_above_nothing():
    few = measure([{"m": Metric.mean_of(np.arange(800) < 3)}], bootstrap(400))["m"]
    low, high = few.interval
    exact = binomtest(3, 800).proportion_ci(method="exact")
    assert 0 < low < 3 / 800 and high == pytest.approx(exact.high, rel=0.1)


def test_one_document_a_language_tells_nothing():
    low, high = measured([32.04, 32.04], strata=[0, 1], highest=100.0).interval
    assert low < 10 and high > 80
    low, high = measured([32.0, 33.0], strata=[0, 1], highest=100.0).interval
    assert low < 27 and high > 38


def test_values_without_an_upper_end_have_no_interval_where_all_are_equal():
    assert measured(np.ones(50), highest=np.inf).interval is None
    low, high = measured(np.array([0.1, 0.2, 0.9]), highest=np.inf).interval
    assert 0 < low < 0.4 < high < np.inf


def test_labels_that_are_all_right_or_absent_leave_an_interval():
    gold = np.array([0, 0, 0, 1, 1])  # the third label is not among them
    low, high = Measured([macro_f1_metric(gold, gold, 3)], NOT_RESAMPLED).interval
    assert low < 0.8 and high == pytest.approx(1)
    perfect = measure([{"m": macro_f1_metric(np.arange(600) % 3, np.arange(600) % 3, 3)}], bootstrap(100))["m"]
    assert 0.97 < perfect.interval[0] < 0.999 and perfect.interval[1] == 1


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_fewer_than_six_examples_are_not_tested(n):
    found = difference(measured(np.full(n, 0.9)), measured(np.zeros(n)))
    assert found.estimate == 0.9 and found.test is found.interval is found.p is found.detectable is None


def test_a_test_set_that_weighs_too_much_is_not_tested():
    strata = [0] * 40 + [1]
    a, b = (measured(np.full(41, value), strata=strata) for value in (0.9, 0.1))
    assert difference(a, b).p is None


def test_no_p_value_is_below_what_the_examples_allow():
    rng = np.random.default_rng(0)
    a, b = 60 + rng.random(8), 40 + rng.random(8)
    assert difference(measured(a, highest=100.0), measured(b, highest=100.0)).p == 2 / 2**8
    right = np.zeros((2, 800))
    right[0, :4] = 1  # the methods differ on four examples
    a, b = (measure([{"m": Metric.mean_of(row)}], bootstrap(2000))["m"] for row in right)
    assert difference(a, b).p == pytest.approx(2 / 2**4)
    assert difference(a, a).p == 1 and difference(a, a).detectable is None
    assert difference(a, a).interval == pytest.approx((-0.0037, 0.0037), abs=1e-4)


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("n", [6, 10, 30])
def test_equal_methods_of_few_examples_are_seldom_told_apart(n, runs):
    rng, told, held = np.random.default_rng(n), 0, 0
    for _ in range(150):
        items = rng.normal(size=n)
        a, b = (measured(*(50 + 5 * items + 5 * rng.normal(size=(runs, n))), highest=100.0) for _ in "ab")
        told += difference(a, b).p < 0.05
        held += a.interval[0] <= 50 <= a.interval[1]
    assert told / 150 < 0.09 and held / 150 > 0.9


def test_a_metric_that_is_no_number_is_refused():
    run = SimpleNamespace(path="scores.jsonl", metrics={"nll": Metric.mean_of([1.0, np.nan])}, draws=lambda name: [])
    with pytest.raises(UserError, match=r"scores\.jsonl: its nll is nan"):
        summarise([run], bootstrap(100))


def two_documents():
    """A study of two test examples."""
    return study_of(sft=[[32.0, 30.0]], todi=[[44.0, 41.0]], teacher=[[60.0, 58.0]])


def test_a_report_on_too_few_examples_says_so():
    study = two_documents()
    rows = [each.row() for each in compare(study)]
    assert {row["significant"] for row in rows} == {"too few to tell"}
    empty = ("ci95_low", "ci95_high", "test", "p", "p_holm", "detectable_difference")
    assert {row[key] for row in rows for key in empty} == {""}
    assert all("2 test examples, too few to tell." in row["sentence"] for row in rows)
    assert gap_closed(study, "sft") == []
    assert "2 test examples are too few to tell the methods apart" in said("conclusion.html.j2", study)
    assert said("over_sft_summary.html.j2", study) == (
        "2 test examples: too few to tell whether a method differs from SFT in ROUGE-L."
    )
    for template in ("over_sft.html.j2", "warnings.html.j2"):
        assert "significantly" not in said(template, study)
    assert "too few to tell too few to tell" in said("over_sft.html.j2", study)


def test_methods_with_the_same_mean_share_the_first_place():
    rng = np.random.default_rng(0)
    values = 40 + rng.normal(size=200)
    study = study_of(sft=values, fkl=values - 1, todi=values)
    assert [each.method for each in study.experiments if study.is_best(each, "rouge_l")] == ["sft", "todi"]
    level = study_of(sft=values, todi=values)
    assert not any(level.is_best(each, "rouge_l") for each in level.experiments)
    assert "SFT and ToDi have the best mean" in said("conclusion.html.j2", study)


def test_runs_that_lie_far_apart_are_said():
    noise = np.random.default_rng(0).normal(size=400)
    study = study_of(sft=[40 + noise, 40.01 + noise], todi=[41 + noise, 44 + noise])
    text = said("warnings.html.j2", study)
    assert "Runs of ToDi lie so far apart" in text and "the interval is wide" in text
    low, high = study.measured["todi"].interval
    assert high - low > 20


def test_holm_corrects_over_tests_that_were_made():
    assert holm([]) == []
    study = study_of(sft=[[1.0, 2.0]], todi=[[1.0, 2.0]])
    assert [each.p_holm for each in compare(study)] == [None]


def two_runs_apart(rng):
    """A metric of 200 examples, and two runs that training has moved further than the choice of examples could."""
    return [{"m": Metric.mean_of(50 + 3 * rng.normal() + rng.normal(size=200), highest=100.0)} for _ in range(2)]


def test_two_runs_that_lie_apart_do_not_tell_methods_apart():
    noise = np.random.default_rng(0).normal(size=400)
    a, b = (
        measure([{"m": Metric.mean_of(mean + noise, highest=100.0)} for mean in means], bootstrap(2000), stream)["m"]
        for stream, means in enumerate([(40, 42), (43, 45.5)])
    )
    found = difference(a, b)
    assert (a.samples - b.samples).max() < 0  # what drawn runs say
    assert found.test == "t" and found.p > 0.05 and found.interval[0] < -6 and found.interval[1] > 0
    assert a.interval[0] < 35 and a.interval[1] > 47


def test_equal_methods_of_two_runs_that_lie_apart_are_seldom_told_apart():
    rng, told, held = np.random.default_rng(0), 0, 0
    for repetition in range(150):
        a, b = (measure(two_runs_apart(rng), bootstrap(100, repetition), stream)["m"] for stream in (0, 1))
        told += difference(a, b).p < 0.05
        held += a.interval[0] <= 50 <= a.interval[1]
    assert told / 150 < 0.09 and held / 150 > 0.9


@pytest.mark.parametrize("apart", [[0], [0, 0.01]], ids=["one run", "runs close together"])
def test_where_training_is_a_small_part_the_bootstrap_decides(apart):
    values = 50 + np.random.default_rng(0).normal(size=(2, 200))
    a, b = (
        measure([{"m": Metric.mean_of(row + shift, highest=100.0)} for shift in apart], bootstrap(500), stream)["m"]
        for stream, row in enumerate(values)
    )
    found, samples = difference(a, b), a.samples - b.samples
    assert (found.test, found.p, found.interval) == ("bootstrap", two_sided_p(samples), interval(samples))
    assert a.interval == interval(a.samples)


def test_a_calibration_error_of_runs_that_lie_apart_reaches_beyond_them():
    gaps = 0.01 * np.random.default_rng(0).normal(size=400)
    runs = [{"m": Metric(shift + gaps[:, None], biased_up=True)} for shift in (0.1, 0.2)]
    low, high = measure(runs, bootstrap(200))["m"].interval
    assert low == 0 and high > 0.3
