"""The first table of the report and what it recommends, on studies made in memory."""

import numpy as np
import pytest

from pipestill.evaluation.evaluation import JobCost, QueryCost
from pipestill.evaluation.statistics import holm
from pipestill.reporting.comparisons import Comparison, compare, find
from pipestill.reporting.conclusion import conclude
from pipestill.reporting.findings import findings
from pipestill.reporting.overview import overview, recommendation
from pipestill.reporting.views import difference_matrix
from support.studies import study_of

N = 400
RNG = np.random.default_rng(0)
NOISE = 8 * RNG.normal(size=N)
NOISE -= NOISE.mean()
OWN = {method: 4 * RNG.normal(size=N) for method in ("base", "lead", "sft", "kd", "todi", "theirs", "teacher")}


def job(seconds):
    return JobCost(wall_s=2 * seconds, cpu_s=seconds, peak_memory_mb=None, gpu_memory_mb=None, tokens=None)


def asked(ms):
    tokens = dict.fromkeys(("prompt_tokens", "read_tokens", "written_tokens", "cache_bytes"), 1.0)
    return QueryCost(queries=N, ms=ms, **tokens)


def found(means, train=None, teacher=None, query=None, dollars=None, n=N):
    """Findings on methods with means, and what each takes."""
    noise = {method: (OWN[method] - OWN[method].mean())[:n] for method in means}
    study = study_of(**{method: mean + NOISE[:n] + noise[method] for method, mean in means.items()})
    for each in study.experiments:
        cost = each.evaluation.cost
        cost.train = job(train[each.method]) if train and each.method in train else None
        cost.teacher = job(teacher[each.method]) if teacher and each.method in teacher else None
        cost.query = asked((query or {}).get(each.method, 2.0)) if each.method != "lead" else None
        cost.money_usd = (dollars or {}).get(each.method, 0.0)
    return findings(study)


def taken(*args, **how):
    return found(*args, **how).conclusion.recommended.experiment.method


def test_the_cheapest_that_is_not_significantly_worse():
    level = {"base": 20, "sft": 40.2, "kd": 40.1, "todi": 40.3, "teacher": 60}
    assert taken(level, train={"sft": 30, "kd": 20, "todi": 60, "teacher": 99}) == "kd"
    assert taken(level, train={"sft": 30, "kd": 20, "todi": 60}, teacher={"kd": 90}) == "sft"
    assert taken({"base": 20, "sft": 40, "todi": 44}, train={"sft": 30, "todi": 90}) == "todi"  # SFT is worse


def test_of_prices_that_are_level_the_better_one():
    level = {"sft": 40.0, "kd": 40.1, "todi": 40.2}
    assert taken(level, train={"sft": 30, "kd": 31, "todi": 32}) == "todi"
    assert taken(level, train={"sft": 30, "kd": 31, "todi": 34}) == "kd"


def test_money_comes_before_time_and_time_before_queries():
    level = {"sft": 40.0, "kd": 40.1}
    assert taken(level, train={"sft": 90, "kd": 20}, dollars={"kd": 0.5}) == "sft"
    assert taken(level, train={"sft": 90, "kd": 20}, dollars={"kd": None}) == "sft"  # who knows
    assert taken({"base": 40.0, "sft": 40.1}, train={"sft": 1}, query={"base": 50}) == "base"
    assert taken({"base": 40.0, "lead": 39.9}) == "lead"


def test_the_same_models_compete_as_they_answer_best():
    varied = found({"sft": 40.2, "kd": 40.1}, train={"sft": 30, "kd": 30}, query={"kd": 1.0})
    assert varied.conclusion.recommended.experiment.method == "kd"  # faster
    varied.study.get("kd").evaluation.variant_of = "sft"
    assert conclude(varied.study, varied.pairs).recommended.experiment.method == "sft"


def test_training_of_a_model_from_elsewhere_is_not_known():
    assert taken({"sft": 40.0, "theirs": 40.1}, train={"sft": 90}) == "sft"
    alone = found({"sft": 30.0, "theirs": 40.1}, train={"sft": 90})
    assert "training that is not known" in recommendation(alone)


def test_what_is_said():
    level = found({"base": 20, "sft": 40, "todi": 40.2}, train={"sft": 30, "todi": 60}, teacher={"todi": 88})
    pair = find(level.pairs, level.study.get("todi"), level.study.get("sft"))
    assert recommendation(level) == (
        f"take SFT: the cheapest that is not significantly worse than the best (ROUGE-L 40.00; ToDi is {pair.amount} "
        "ahead). It takes 30 s of processor time to train, 2.0 ms a query."
    )
    low, high = (f"{end:.2f}".replace("-", "−") for end in pair.ci95)
    assert pair.amount == f"0.20 [{low}, {high}]" == find(level.pairs, pair.b, pair.a).amount
    clear = found({"base": 20, "sft": 40, "todi": 44}, train={"sft": 30, "todi": 60}, teacher={"todi": 88})
    pair = find(clear.pairs, clear.study.get("todi"), clear.study.get("sft"))
    assert recommendation(clear) == (
        "take ToDi: the best (ROUGE-L 44.00), and all others are significantly worse. It takes 1 min 00 s of processor "
        f"time to train + 1 min 28 s for what it learns from, 2.0 ms a query. SFT, with the same gold outputs and no "
        f"teacher, is {pair.amount} behind, significantly."
    )
    taught = found({"sft": 40, "todi": 40.2, "teacher": 60}, train={"sft": 99, "todi": 60})
    assert "and no dearer than the other that is not significantly worse." in recommendation(taught)
    alone = found({"sft": 44, "todi": 40, "teacher": 60}, train={"sft": 30, "todi": 60})
    assert recommendation(alone).endswith("2.0 ms a query, and no teacher.")
    useless = found({"base": 40, "sft": 40.1}, train={"sft": 30})
    assert "no trained method is shown to be better" in recommendation(useless)
    assert recommendation(useless).endswith("It takes no training, 2.0 ms a query.")


def test_time_is_of_walls_where_that_of_processors_is_not_known():
    level = found({"sft": 40, "todi": 50}, train={"sft": 30, "todi": 60})
    level.study.get("todi").evaluation.cost.train.cpu_s = None
    assert "2 min 00 s of wall time to train" in recommendation(level)


def test_too_few_examples_and_single_methods():
    few = found({"base": 20, "sft": 40}, train={"sft": 30}, n=4)
    assert few.conclusion.recommended is None and recommendation(few) == "4 test examples, too few to tell."
    assert recommendation(found({"sft": 40})) == "one method, so nothing to choose from."


def test_marks_are_those_of_the_tests_against_sft():
    study = found({"base": 20, "sft": 40, "kd": 40.1, "todi": 44, "teacher": 60}, train={"sft": 30})
    table = overview([study])
    assert [*table.columns.values()] == ["Teacher", "Base", "SFT", "KD", "ToDi"]
    cells = {cell.experiment.method: cell for cells in table.rows[0].cells for cell in cells}
    assert {name: cell.verdict for name, cell in cells.items()} == {
        "base": "worse", "sft": None, "kd": "open", "todi": "better", "teacher": "better",
    }  # fmt: skip
    assert cells["todi"].comparison.family == "against sft" and cells["teacher"].comparison.family == "further pairs"
    assert [name for name, cell in cells.items() if cell.recommended] == ["todi"]
    assert [name for name, cell in cells.items() if cell.best] == ["todi"]


def test_studies_without_a_method_have_no_cell_and_variants_stand_with_theirs():
    one = found({"base": 20, "sft": 40})
    other = found({"lead": 30, "kd": 40})
    varied = found({"sft": 40, "kd": 42})
    variant = varied.study.get("kd").evaluation
    variant.method, variant.variant_of, variant.method_title = "sft-free", "sft", "SFT (free)"
    table = overview([one, other, varied])
    assert [*table.columns.values()] == ["Base", "Lead", "SFT", "KD"]
    assert [len(cells) for cells in table.rows[1].cells] == [0, 1, 0, 1]
    assert [cell.variant for cell in table.rows[2].cells[2]] == ["", "free"]
    line = table.markdown().splitlines()[4]
    assert line == "| made | ROUGE-L | – | – | 40.00; free **42.00**▲ | – |"


def contradictions(found):
    """Places at which something else is said of a pair than in the one row that the pair has."""
    study, conclusion = found.study, found.conclusion
    rows = {
        frozenset((row["method_a"], row["method_b"])): row["significant"] for row in map(Comparison.row, found.pairs)
    }
    assert len(rows) == len(found.pairs)
    cells = {cell.experiment.method: cell for cells in overview([found]).rows[0].cells for cell in cells}
    said = {(name, "sft"): cell.verdict != "open" for name, cell in cells.items() if cell.verdict}
    said |= {(each.method, conclusion.best.method): True for each in conclusion.beaten}
    said |= {(each.method, conclusion.best.method): False for each in conclusion.tied}
    matrix = difference_matrix(study, found.pairs)
    said |= {(cell.a.method, cell.b.method): cell.significant for line in matrix for cell in line if cell}
    wrong = [pair for pair, significant in said.items() if (rows[frozenset(pair)] == "yes") != significant]
    return wrong + [each for each in conclusion.beaten if each is conclusion.recommended.experiment]


def test_what_is_planned_counts_in_the_recommendation_too():
    # By Holm over all six pairs ToDi is above nothing but the base, and SFT, as good as any, is the cheapest.
    means = {"base": 20, "sft": 40, "kd": 40.02, "todi": 40.66}
    close = found(means, train={"sft": 30, "kd": 60, "todi": 60})
    together = {each.p: p for each, p in zip(close.pairs, holm([each.p for each in close.pairs]), strict=True)}
    pair = find(close.pairs, close.study.get("todi"), close.study.get("sft"))
    assert pair.significant and together[pair.p] > 0.05
    assert close.conclusion.recommended.experiment.method == "todi" and "SFT" in recommendation(close)
    assert contradictions(close) == []


def test_nothing_contradicts_the_recommendation():
    rng = np.random.default_rng(2)
    for _ in range(5):
        means = dict(zip(("base", "sft", "kd", "todi", "teacher"), 40 + 0.5 * rng.normal(size=5), strict=True))
        assert contradictions(found(means, train={"sft": 30, "kd": 60, "todi": 50})) == []


def test_one_as_good_as_the_best_is_seldom_called_worse():
    rng, methods = np.random.default_rng(3), ("base", "sft", "kd", "todi", "fkl")
    beaten = dict.fromkeys(methods, 0)
    for _ in range(50):
        study = study_of(resamples=200, **{method: 50 + rng.normal(size=100) for method in methods})
        for each in conclude(study, compare(study)).beaten:
            beaten[each.method] += 1
    assert max(beaten.values()) <= 5 and sum(beaten.values()) > 0  # of 50; 1.5 in expectation


@pytest.mark.parametrize(("title", "heading"), [(None, "made"), ("A | B", "A | B (made)")])
def test_studies_go_by_their_titles(title, heading):
    study = found({"base": 20, "sft": 40})
    object.__setattr__(study.study, "title", title)
    assert study.study.heading == heading
    assert f"| {heading.replace('|', chr(92) + '|')} | ROUGE-L |" in overview([study]).markdown()
