"""Results by test set, subset and gold label, the majority baseline, and the cost of a query: from files to report."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from pipestill.answers.labels import classification, score
from pipestill.answers.labels.entry import details_of
from pipestill.answers.labels.subsets import NAME
from pipestill.errors import UserError
from pipestill.evaluation.cost import query_cost
from pipestill.evaluation.evaluation import read_evaluation
from pipestill.evaluation.formats import milliseconds, size
from pipestill.io.files import read_json, write_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.metrics.catalogue import metric_title
from pipestill.reporting.collect import collect
from pipestill.reporting.figures import draw
from pipestill.reporting.html import templates
from pipestill.reporting.study import CurvePoint
from pipestill.settings.evaluation import Experiment
from pipestill.tasks import TASKS
from support.pages import Page
from support.reports import METHODS, plain, said, script, write_queries, write_study

PARTS = [("matched", None), ("hans", "lexical_overlap"), ("hans", "subsequence"), ("hans", "lexical_overlap")]
PROMPTS = {"kd": 640.0, "dpo": 2100.5}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    paths = write_study(root, n_per_class=90, seeds=2, collapse="dpo", parts=PARTS, prompts=PROMPTS)
    arguments = ["--evals", *map(str, paths), "--config", str(root / "config.yaml")]
    script("report", [*arguments, "--output-dir", str(root / "report")])
    return root


@pytest.fixture(scope="module")
def study(tree):
    return collect([tree / f"creditmix_{method}/eval.json" for method in METHODS])[0]


@pytest.fixture(scope="module")
def page(tree):
    return plain((tree / "report/index.html").read_text())


def rows_of(tree, method, seed):
    rows = read_jsonl(tree / f"creditmix_{method}/predictions/seed_{seed}/predictions.jsonl")
    return [row for row in rows if row["split"] == "test"]


def accuracy(rows) -> float:
    return accuracy_score([row["references"][0] for row in rows], [row["prediction"] for row in rows])


def test_accuracy_of_every_subset_and_gold_label_in_it(tree):
    evaluation = read_evaluation(tree / "creditmix_sft/eval.json")
    for run in evaluation.runs:
        rows = [row for row in rows_of(tree, "sft", run.seed) if row["test_set"] == "hans"]
        by_subset = {name: [row for row in rows if row["subset"] == name] for _, name in PARTS if name}
        found = {(part.test_set, part.subset, part.label): part for part in details_of(run).subsets}
        assert set(found) == {
            ("hans", None, None),
            *(("hans", name, label) for name in by_subset for label in (None, "Good", "Standard", "Bad")),
        }
        for name, own in by_subset.items():
            assert run.metrics[f"{NAME}/hans/{name}"] == pytest.approx(accuracy(own), abs=1e-12)
            for label in ("Good", "Bad"):
                of_label = [row for row in own if row["references"] == [label]]
                part = found["hans", name, label]
                assert part.n == len(of_label) and part.metric == f"{NAME}/hans/{name}/{label}"
                assert run.metrics[part.metric] == pytest.approx(accuracy(of_label), abs=1e-12)
        macro = np.mean([accuracy(own) for own in by_subset.values()])
        assert run.metrics[f"{NAME}/hans"] == pytest.approx(macro, abs=1e-12)
        assert macro != pytest.approx(run.metrics["accuracy/hans"], abs=1e-9)  # one part has twice the examples
    for name, summary in evaluation.metrics.items():
        if name.startswith(NAME):
            assert summary.ci95[0] <= summary.mean <= summary.ci95[1]
    assert metric_title(f"{NAME}/hans/subsequence") == "subset accuracy on hans, subsequence"


def test_without_test_sets_parts_are_those_of_all_examples(tree, tmp_path):
    for seed in (1, 2):
        rows = [row | {"test_set": None} for row in rows_of(tree, "sft", seed)]
        write_jsonl(tmp_path / f"seed_{seed}/predictions.jsonl", rows)
        source = tree / f"creditmix_sft/predictions/seed_{seed}/calibration.json"
        write_json(tmp_path / f"seed_{seed}/calibration.json", read_json(source))
    experiment = Experiment.model_construct(test_sets=[])
    run = score.runs(TASKS["creditmix"], experiment, tmp_path, {})[1]
    own = [row for row in rows_of(tree, "sft", 1) if row.get("subset") == "subsequence"]
    assert run.metrics[f"{NAME}/subsequence"].estimate() == pytest.approx(accuracy(own))
    assert NAME not in next(run.scores()) and {"accuracy", "vocabulary_accuracy"} <= set(next(run.scores()))


def test_predicted_labels_and_the_majority_baseline_of_every_test_set(tree):
    for run in read_evaluation(tree / "creditmix_dpo/eval.json").runs:
        rows, details = rows_of(tree, "dpo", run.seed), details_of(run)
        assert [each.test_set for each in details.answered] == [None, "matched", "hans"]
        for each in details.answered:
            own = [row for row in rows if each.test_set in (None, row["test_set"])]
            gold, predicted = [row["references"][0] for row in own], [row["prediction"] for row in own]
            assert each.n == len(own)
            assert each.predicted == pytest.approx(
                {label: predicted.count(label) / len(own) for label in each.predicted}
            )
            always = [each.majority.label] * len(own)
            assert gold.count(each.majority.label) == max(map(gold.count, gold))
            assert each.majority.accuracy == pytest.approx(accuracy_score(gold, always))
            assert each.majority.macro_f1 == pytest.approx(f1_score(gold, always, average="macro", zero_division=0))
            assert bool(each.collapsed) == (run.seed == 2)


def test_collapse_is_found_on_one_test_set(study):
    confusion = np.array([[10, 0], [9, 1]])
    assert classification.answered(confusion, ["yes", "no"])["collapsed"] == {"label": "yes", "share": 0.95}
    one_class = np.array([[0, 0], [1, 19]])  # nothing but one label is there to be answered
    assert classification.answered(one_class, ["yes", "no"])["collapsed"] is None
    assert "DPO, seed 2, has collapsed: " in said("warnings.html.j2", study)
    edited = collect([study.get("sft").path])[0]
    details = edited.first.runs[0].details
    details["answered"][2]["collapsed"] = {"label": "Bad", "share": 0.97}
    assert "SFT, seed 1, has collapsed on hans: 97% of its predictions are “Bad”." in said("warnings.html.j2", edited)


def test_accuracy_over_the_vocabulary(tree):
    run = read_evaluation(tree / "creditmix_kd/eval.json").runs[0]
    rows = rows_of(tree, "kd", 1)
    for test_set, name in ((None, "vocabulary_accuracy"), ("hans", "vocabulary_accuracy/hans")):
        own = [row for row in rows if test_set in (None, row["test_set"])]
        expected = np.mean([row["references"][0] in row["greedy"] for row in own])
        assert run.metrics[name] == pytest.approx(expected, abs=1e-12) and 0 < expected < 1
    base = read_evaluation(tree / "creditmix_base/eval.json")
    assert base.metrics["vocabulary_accuracy"].mean == 0 < base.metrics["accuracy"].mean


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"greedy": "Good"}, "`greedy` must be a list of labels"), ({"greedy": ["Goo"]}, "`greedy` must be a list of"),
     ({"subset": 3}, "`subset` must be a text")],
)  # fmt: skip
def test_fields_of_another_type_are_refused_by_line(tree, tmp_path, change, sentence):
    rows = rows_of(tree, "sft", 1)
    write_jsonl(tmp_path / "seed_1/predictions.jsonl", [rows[0], rows[1] | change])
    with pytest.raises(UserError, match=rf"predictions\.jsonl, line 2: {sentence}"):
        score.runs(TASKS["creditmix"], Experiment.model_construct(test_sets=["matched", "hans"]), tmp_path, {})


def test_page_is_whole(tree):
    parsed = Page()
    parsed.feed((tree / "report/index.html").read_text())
    assert parsed.open == [] and len(parsed.ids) == len(set(parsed.ids))


def test_page_and_card_say_it_all(tree, study, page):
    first = details_of(study.first.runs[0])
    assert f"on hans accuracy {first.answered[2].majority.accuracy:.3f} and macro F1" in page
    assert "collapsed 1/2" in page and "Accuracy on parts of the test set" in page
    metric = study.get("sft").metric(f"{NAME}/hans")
    assert f"hans, mean of the parts all {first.subsets[0].n}" in page
    assert f"{metric.mean:.3f} [{metric.ci95[0]:.3f}, {metric.ci95[1]:.3f}]" in page
    card = (tree / "creditmix_sft/README.md").read_text()
    assert re.search(r"\| hans, subsequence \| Good \| \d+ \| 0\.\d{3} \| \[0\.", card)
    assert re.search(r"\| matched \| 45 \| Good \d+%, Standard \d+%, Bad \d+% \| \w+ \| 0\.\d+ \| 0\.\d+ \|", card)
    assert "subset accuracy" not in card
    assert "A test question has a prompt of 212.5 tokens, reads 200.0 of them" in card
    assert "3.2 ms of the model's work, and 435 kB of keys and values." in card


def test_cost_of_a_query_is_the_mean_over_the_runs(tmp_path):
    runs = {seed: tmp_path / f"seed_{seed}" for seed in (1, 2)}
    assert query_cost(runs) is None
    write_queries(runs[1], prompt=100.0, ms=2.0)
    with pytest.raises(UserError, match=r"seed_2/queries\.json does not exist"):
        query_cost(runs)
    write_queries(runs[2], prompt=100.0, ms=4.0)
    found = query_cost(runs)
    assert (found.queries, found.prompt_tokens, found.ms, found.cache_bytes) == (600, 100.0, 3.0, 204_800)
    write_json(runs[2] / "queries.json", {"queries": 600, "ms": "fast"})
    with pytest.raises(UserError, match=r"seed_2/queries\.json is not the cost of a run's queries: predict again"):
        query_cost(runs)


def test_report_compares_what_queries_cost(tree, study, page):
    assert study.get("dpo").evaluation.cost.query.prompt_tokens == 2100.5
    primary = study.get("dpo").mean("macro_f1")
    assert f"DPO {primary:.3f} 2100.5 200.0 0.0 3.2 ms 4.3 MB" in page
    svg = (tree / "report/figures/creditmix/query.svg").read_text()
    assert "tokens of the prompt of a query" in svg and ">2000<" in svg
    rows = {row["method"]: row for row in csv.DictReader((tree / "report/summary.csv").open())}
    assert (rows["kd"]["query_prompt_tokens"], rows["kd"]["query_ms"]) == ("640.0", "3.25")
    equal = collect([study.get(method).path for method in ("base", "sft", "teacher")])[0]
    assert "query" in draw(study) and "query" not in draw(equal)  # nothing to tell where all prompts are as long


def test_curves_of_demonstrations_are_lines_of_the_figure(study):
    """Two experiments stand for the untrained student after none and after more demonstrations."""
    points = [CurvePoint("minimal", shots, study.get(method)) for shots, method in ((0, "sft"), (8, "kd"))]
    curved = replace(collect([study.get("base").path])[0], curve={"minimal": points})
    svg = draw(curved)["query"]
    assert "demonstrations, minimal" in svg and ">Base<" in svg and ">KD<" not in svg
    page = plain(templates().get_template("context.html.j2").render(view={"study": curved, "figures": {}}))
    assert "minimal 0 212.5 " in page and " 8 640.0 " in page


def test_small_numbers_are_written_with_their_unit():
    assert [milliseconds(ms) for ms in (0.337, 3.25, 212.4, 1234.0, None)] == [
        "0.34 ms",
        "3.2 ms",
        "212 ms",
        "1.2 s",
        "–",
    ]
    assert [size(n) for n in (0, 950, 48_200, 1_240_000, 23e9, None)] == [
        "0 B",
        "950 B",
        "48 kB",
        "1.2 MB",
        "23 GB",
        "–",
    ]
