"""What the report concludes: planned comparisons, gaps closed, sentences and warnings, on studies made in memory."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipestill.evaluation.experiment import summarise
from pipestill.evaluation.statistics import Bootstrap, Metric, holm
from pipestill.methods import METHODS, method_of
from pipestill.reporting.closeness import fidelity_warning
from pipestill.reporting.comparisons import against_sft, compare
from pipestill.reporting.conclusions import conclusion, over_sft, over_sft_summary
from pipestill.reporting.figures.canvas import colour_of, dashes_of, spread
from pipestill.reporting.figures.training import kl_by_step
from pipestill.reporting.gap import gap_closed
from pipestill.reporting.study import Experiment, Study
from pipestill.reporting.warnings import warnings

N = 400
RNG = np.random.default_rng(0)
NOISE = 8 * RNG.normal(size=N)  # of the examples, shared by all methods
NOISE -= NOISE.mean()
OWN = {method: 4 * RNG.normal(size=N) for method in ("base", "sft", "fkl", "rkl", "todi", "teacher")}


def study_of(primary="rouge_l", resamples=1000, **scores) -> Study:
    """A study of texts from ``[runs, examples]`` of scores by method."""
    experiments = []
    for method, values in scores.items():
        values = np.atleast_2d(values)
        runs = {seed: {primary: Metric.mean_of(row, highest=100.0)} for seed, row in enumerate(values)}
        evaluation = {
            "study": "made", "task": "dolly", "method": method, "kind": "text", "method_title": method_of(method).title,
            "primary_metric": primary, "source": "synthetic", "n_test": values.shape[1],
            "notes": [], "agreement": None, "cost": {"train": None, "annotation": None},
            "bootstrap": {"resamples": resamples, "seed": 0},
            "metrics": summarise(list(runs.values()), Bootstrap(resamples, 0)),
            "runs": [{"seed": seed, "history": []} for seed in runs],
        }  # fmt: skip
        found = {seed: SimpleNamespace(metrics=metrics) for seed, metrics in runs.items()}
        experiments.append(Experiment(Path(method), evaluation, found))
    return Study("made", experiments)


def around(**means) -> Study:
    """A study of one run a method, whose examples are equally hard for all."""
    return study_of(**{method: mean + NOISE + OWN[method] - OWN[method].mean() for method, mean in means.items()})


def test_against_sft_is_a_family_of_its_own():
    study = around(base=20, sft=40, fkl=40.5, todi=41.0, teacher=50)
    family = against_sft(study)
    assert [(each.a.method, each.b.method, each.family) for each in family] == [
        ("fkl", "sft", "against sft"), ("todi", "sft", "against sft")
    ]  # fmt: skip
    assert [each.p_holm for each in family] == holm([each.p for each in family])
    pairs = {(each.a.method, each.b.method): each for each in compare(study)}
    for planned in family:
        unplanned = pairs[planned.a.method, "sft"]
        assert (planned.difference, planned.ci95, planned.p) == (unplanned.difference, unplanned.ci95, unplanned.p)
        assert planned.p_holm < unplanned.p_holm  # 2 comparisons instead of 10
    assert against_sft(around(base=20, fkl=40)) == against_sft(around(base=20, sft=40)) == []


def test_detectable_difference_is_that_of_a_paired_test():
    # For one run the paired standard error is sd(differences) / sqrt(n); the noise that both share does not count.
    comparison = against_sft(around(sft=40, todi=41))[0]
    difference = OWN["todi"] - OWN["sft"]
    assert comparison.detectable == pytest.approx(2.8 * difference.std() / np.sqrt(N), rel=0.05)


def test_detectable_difference_is_found_four_times_in_five():
    rng, found = np.random.default_rng(1), 0
    own = rng.normal(size=(200, 2, 100))
    for sft, todi in own:
        true = 2.8 * np.sqrt(2 / 100)
        found += against_sft(study_of(resamples=400, sft=50 + sft, todi=50 + todi + true))[0].p < 0.05
    assert 0.72 < found / 200 < 0.88


@pytest.mark.parametrize("sign", [1, -1])
def test_gap_closed_is_exact_where_every_example_closes_the_same_share(sign):
    # With lower values better, the ratio is the same.
    ahead = 5 + np.abs(OWN["teacher"])
    values = {"sft": 50 + NOISE, "fkl": 50 + NOISE + sign * 0.25 * ahead, "todi": 50 + NOISE - sign * 0.5 * ahead}
    study = study_of("rouge_l" if sign > 0 else "nll", **values, teacher=50 + NOISE + sign * ahead)
    shares = {closed.experiment.method: closed for closed in gap_closed(study, "sft")}
    assert list(shares) == ["fkl", "todi"]
    for method, share in (("fkl", 0.25), ("todi", -0.5)):
        assert shares[method].share == pytest.approx(share)
        assert shares[method].ci95 == pytest.approx((share, share))


def test_no_gap_where_the_teacher_may_not_be_ahead():
    assert gap_closed(around(sft=40, todi=40, teacher=40.1), "sft") == []
    assert gap_closed(around(sft=40, todi=40), "sft") == gap_closed(around(todi=40, teacher=50), "sft") == []
    assert [closed.experiment.method for closed in gap_closed(around(base=9, sft=40, teacher=50), "base")] == ["sft"]


def said(study):
    return conclusion(study, compare(study))


def test_a_tie_is_said_first():
    study = around(base=20, sft=40, fkl=40.2, teacher=50)
    assert said(study).startswith("FKL and SFT share the first place on ROUGE-L: FKL has the best mean, 40.20 [")
    assert (
        "but with 400 test examples its lead over SFT (0.20) is not significant. FKL is significantly better than Base."
        in said(study)
    )
    assert "FKL closes 67% [" in said(study) and "and 2% [" in said(study)
    many = around(base=20, sft=40, fkl=40.2, rkl=39.9, todi=40.1, teacher=50)
    assert "its lead over the 3 others" not in said(many)
    assert "its lead over ToDi (0.10), SFT (0.20) and RKL (0.30) is not significant" in said(many)


def test_a_clear_winner_and_none():
    assert said(around(base=20, sft=40, todi=44)).startswith("ToDi is best on ROUGE-L: 44.00 [")
    assert "over 1 seed, significantly better than SFT and Base." in said(around(base=20, sft=40, todi=44))
    assert said(around(base=40, sft=39.9)).startswith(
        "No trained method is ahead of the untrained student. Base and SFT share the first place"
    )


def test_what_is_added_over_sft_is_said_either_way():
    study = around(sft=40, fkl=38, rkl=40.1, todi=42)
    worse, nothing, better = against_sft(study)
    assert "FKL is 2.00 [" in over_sft(worse) and "below SFT in ROUGE-L: significant" in over_sft(worse)
    assert "would have shown" not in over_sft(worse)
    assert "not significant" in over_sft(nothing)
    assert f"A true difference of {nothing.detectable:.2f} would have shown four times in five." in over_sft(nothing)
    summary = over_sft_summary(study, [worse, nothing, better])
    assert summary.startswith(
        "ToDi is significantly better than SFT; FKL is significantly worse than SFT; RKL does not differ significantly "
        "from it. These tests would have shown a true difference of "
    )
    none = over_sft_summary(study, [nothing])
    assert none.startswith("No method differs significantly from SFT in ROUGE-L.")
    assert f"a true difference of {nothing.detectable:.2f} four times in five" in none
    assert over_sft_summary(study, []) is None


def warned(study, fidelity=None):
    return " ".join(warnings(study, compare(study), fidelity))


def test_warning_of_a_teacher_that_is_not_ahead():
    expected = "The teacher (40.10) is not significantly better than the SFT student (40.00) on ROUGE-L"
    assert expected in warned(around(sft=40, todi=40, teacher=40.1))
    assert "The teacher" not in warned(around(sft=40, todi=40, teacher=45))
    assert "The teacher" not in warned(around(sft=40, teacher=40.1))  # nobody learns from it
    ahead = warned(around(sft=40, todi=47, teacher=45))
    assert "The teacher (45.00) is not better than ToDi (47.00) on ROUGE-L" in ahead and "SFT student" not in ahead


def test_warning_of_a_teacher_that_knows_less_of_the_answers():
    study = around(sft=40, todi=40, teacher=45)
    nll = {"teacher_nll": {"mean": 1.5}, "student_nll": {"mean": 1.4}}
    study.get("sft").evaluation["agreement"] = nll
    assert "the teacher's NLL (1.500) is not below that of the SFT student (1.400)" in warned(study)
    nll["student_nll"]["mean"] = 1.6
    assert "NLL" not in warned(study)


def test_warning_of_too_few_resamples():
    values = {method: 40 + NOISE + own for method, own in OWN.items()}
    assert "400 resamples are too few for 15 pairs" in warned(study_of(resamples=400, **values))
    assert "too few" not in warned(study_of(resamples=700, **values))  # 2 / 701 * 15 is below 5 %


def test_warning_of_a_cache_that_changes_the_objective():
    kinds = {"fkl": {"tail": "bucket", "angle": 4.0, "norm_ratio": 1.0}}
    assert fidelity_warning({"kinds": kinds}) is None
    kinds["todi"] = {"tail": "unigram", "angle": 24.4, "norm_ratio": 0.9}
    assert "gradients of ToDi (24°) point more than 20° away" in fidelity_warning({"kinds": kinds})
    assert "ToDi (24°)" in warned(around(sft=40, todi=40, teacher=45), {"kinds": kinds})


def test_kl_by_step_needs_every_run():
    study = study_of(todi=np.ones((2, 5)))
    first, second = study.get("todi").evaluation["runs"]
    first["history"] = [{"step": 20, "eval_kl": 0.5}, {"step": 10, "eval_kl": 0.9}, {"step": 30, "loss": 1.0}]
    second["history"] = [{"step": 10, "eval_kl": 0.7}]
    assert kl_by_step(study.get("todi")) == {10: [0.9, 0.7]}


def test_methods_are_told_apart_by_colour_and_dashes():
    study = study_of(**{method: np.ones(3) for method in METHODS})
    looks = [(colour_of(study, each), str(dashes_of(study, each))) for each in study.trained]
    assert len(set(looks)) == len(looks) > 10


def test_names_are_spread_as_little_as_possible():
    rng = np.random.default_rng(2)
    for _ in range(50):
        places = rng.uniform(0, 100, size=8)
        moved, order = spread(places, 10, -200, 300), np.argsort(places)
        steps = 10 * np.arange(8)
        wanted = places[order] - steps
        # Isotonic regression by its max-min formula (Barlow et al. 1972).
        expected = [
            max(min(wanted[a : b + 1].mean() for b in range(i, 8)) for a in range(i + 1)) + steps[i] for i in range(8)
        ]
        assert moved[order] == pytest.approx(expected)
        assert np.diff(moved[order]).min() > 10 - 1e-9
    assert list(spread([5, 40, 80], 10, 0, 100)) == [5, 40, 80]
    assert list(spread([1, 2], 10, 0, 100)) == [0, 10]
