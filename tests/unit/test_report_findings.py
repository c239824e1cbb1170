"""What the report concludes: planned comparisons, gaps closed, sentences and warnings, on studies made in memory."""

import numpy as np
import pytest

from pipestill.evaluation.evaluation import Closeness, Mean
from pipestill.evaluation.statistics import holm
from pipestill.methods import METHODS
from pipestill.reporting.comparisons import against_sft, compare
from pipestill.reporting.fidelity import CachedGradient, Fidelity
from pipestill.reporting.figures.canvas import colour_of, dashes_of, spread
from pipestill.reporting.figures.training import kl_by_step
from pipestill.reporting.gap import gap_closed
from pipestill.reporting.study import Study
from support.reports import said
from support.studies import study_of

N = 400
RNG = np.random.default_rng(0)
NOISE = 8 * RNG.normal(size=N)  # of the examples, shared by all methods
NOISE -= NOISE.mean()
OWN = {method: 4 * RNG.normal(size=N) for method in ("base", "sft", "fkl", "rkl", "todi", "teacher")}


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
    pairs = compare(study)
    assert [each.row() for each in pairs if each.family == "against sft"] == [each.row() for each in family]
    assert against_sft(around(base=20, fkl=40)) == against_sft(around(base=20, sft=40)) == []


def test_detectable_difference_is_that_of_a_paired_test():
    # For one run the paired standard error is sd(differences) / sqrt(n); the noise that both share does not count.
    comparison = against_sft(around(sft=40, todi=41))[0]
    difference = OWN["todi"] - OWN["sft"]
    assert comparison.detectable == pytest.approx(2.8 * difference.std() / np.sqrt(N), rel=0.05)


def test_detectable_difference_is_found_with_80_percent_power():
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


def concluded(study):
    return said("conclusion.html.j2", study)


def test_a_tie_is_said_first():
    study = around(base=20, sft=40, fkl=40.2, teacher=50)
    assert concluded(study).startswith("FKL and SFT share the first place on ROUGE-L: FKL has the best mean, 40.20 [")
    assert (
        "but with 400 test examples its lead over SFT (0.20) is not significant. FKL is significantly better than Base."
        in concluded(study)
    )
    assert "FKL closes 67% [" in concluded(study) and "and 2% [" in concluded(study)
    many = around(base=20, sft=40, fkl=40.2, rkl=39.9, todi=40.1, teacher=50)
    assert "its lead over the 3 others" not in concluded(many)
    assert "its lead over ToDi (0.10), SFT (0.20) and RKL (0.30) is not significant" in concluded(many)


def test_a_clear_winner_and_none():
    assert concluded(around(base=20, sft=40, todi=44)).startswith("ToDi is best on ROUGE-L: 44.00 [")
    assert "over 1 seed, significantly better than SFT and Base." in concluded(around(base=20, sft=40, todi=44))
    assert concluded(around(base=40, sft=39.9)).startswith(
        "No trained method is ahead of the untrained student. Base and SFT share the first place"
    )


def test_what_is_added_over_sft_is_said_either_way():
    study = around(sft=40, fkl=38, rkl=40.1, todi=42)
    worse, nothing, _ = against_sft(study)
    table = said("over_sft.html.j2", study)
    assert worse.sentence() in table and "FKL is 2.00 [" in table and "below SFT in ROUGE-L: significant" in table
    assert (
        f"{nothing.sentence()} The test finds a true difference of {nothing.detectable:.2f} with 80 % power." in table
    )
    assert table.count("The test finds a true difference") == 1
    summary = said("over_sft_summary.html.j2", study)
    assert summary.startswith(
        "ToDi is significantly better than SFT; FKL is significantly worse than SFT; RKL does not differ significantly "
        "from it. These tests find a true difference of "
    )
    alone = around(sft=40, rkl=40.1)
    none = said("over_sft_summary.html.j2", alone)
    assert none.startswith("No method differs significantly from SFT in ROUGE-L.")
    assert f"a true difference of {against_sft(alone)[0].detectable:.2f} with 80 % power" in none


def warned(study, fidelity=None):
    return said("warnings.html.j2", study, fidelity)


def test_warning_of_a_teacher_that_is_not_ahead():
    expected = "The teacher (40.10) is not significantly better than the SFT student (40.00) on ROUGE-L"
    assert expected in warned(around(sft=40, todi=40, teacher=40.1))
    assert "The teacher" not in warned(around(sft=40, todi=40, teacher=45))
    assert "The teacher" not in warned(around(sft=40, teacher=40.1))  # nobody learns from it
    ahead = warned(around(sft=40, todi=47, teacher=45))
    assert "The teacher (45.00) is not better than ToDi (47.00) on ROUGE-L" in ahead and "SFT student" not in ahead


def test_warning_of_a_teacher_that_knows_less_of_the_answers():
    study = around(sft=40, todi=40, teacher=45)
    nll = {name: Mean(mean=mean, per_seed=[mean]) for name, mean in (("teacher_nll", 1.5), ("student_nll", 1.4))}
    closeness = Closeness.model_construct(**nll, tokens=500)
    study.sft.evaluation.agreement = closeness
    assert "the teacher's NLL (1.500) is not below that of the SFT student (1.400)" in warned(study)
    closeness.student_nll.mean = 1.6
    assert "NLL" not in warned(study)


def test_warning_of_too_few_resamples():
    values = {method: 40 + NOISE + own for method, own in OWN.items()}
    assert "300 resamples are too few for 9 comparisons at a time" in warned(study_of(resamples=300, **values))
    assert "too few" not in warned(study_of(resamples=400, **values))  # 2 / 401 * 9 is below 5 %


def test_warning_of_a_cache_that_changes_the_objective():
    study = around(sft=40, todi=40, teacher=45)
    gradients = [CachedGradient("FKL", "bucket", 4.0, 1.0)]
    cache = Fidelity("made", "topk", 100.0, 260, gradients)
    assert "gradients" not in warned(study, cache)
    gradients.append(CachedGradient("ToDi", "unigram", 24.4, 0.9))
    assert "gradients of ToDi (24°) point more than 20° away" in warned(study, cache)


def test_kl_by_step_needs_every_run():
    study = study_of(todi=np.ones((2, 5)))
    first, second = study.get("todi").evaluation.runs
    first.history = [{"step": 20, "eval_kl": 0.5}, {"step": 10, "eval_kl": 0.9}, {"step": 30, "loss": 1.0}]
    second.history = [{"step": 10, "eval_kl": 0.7}]
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
