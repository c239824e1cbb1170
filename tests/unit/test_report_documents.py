"""The report of a study of documents: chosen columns, extracts as references, and what rationales cost."""

import csv
import re

import numpy as np
import pytest

from pipestill.answers.text.show import signatures
from pipestill.evaluation.evaluation import JobCost
from pipestill.evaluation.formats import bracket, dollars, number
from pipestill.io.files import read_json, write_json, write_text
from pipestill.io.records import write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.metrics.catalogue import metric_title
from pipestill.metrics.measures import SUMMARIES
from pipestill.reporting.collect import collect
from pipestill.reporting.comparisons import against_sft
from pipestill.reporting.rationales import rationales
from pipestill.tasks import lexicon
from pipestill.tasks.multiclinsum.archives import LANGUAGES
from support.asked import write_asked
from support.pages import Page
from support.reports import evaluate_arguments, model_directories, said, script, write_cost, write_model

METHODS = {"base": 0.1, "lead": 0.3, "textrank": 0.2, "sft": 0.6, "stepwise": 0.65}  # share of reference words kept
SIZES = {"en": 12, "es": 8}
WORDS = lexicon.words("el niño tenía fiebre y el médico pidió una radiografía the boy had fever and improved with rest")
EXTRACTS = ("lead", "textrank")
USAGE = {
    "records": 40,
    "annotated": 39,
    "requests": 40,
    "calls": {"total": 45, "ok": 39, "failed": {"rate_limit": 3, "timeout": 1}, "unfinished": 2},
    "tokens": {"input": 52_481, "output": 9_185},
    "cost": {"dollars": 0.0123, "per_record": 0.0003, "sources": {"reported": 45}},
    "latency_s": {"p50": 1.25, "p95": 4.5},
    "finish_reasons": {"stop": 39},
    "served_models": {"lab/writer-2024": 39},
    "served_providers": {"Here": 20, "There": 19},
    "wall_s": 61.5,
}


def write_documents(root, skills=METHODS, provider="openrouter"):
    """Tree and evaluations of a study of summaries; returns every eval.json."""
    rng = np.random.default_rng(1)
    references = {f"{code}-{i}": [*rng.choice(WORDS, 12)] for code, n in SIZES.items() for i in range(n)}
    write_text(root / "config.yaml", "run: [clinical]\n")
    write_json(root / "models/demo-student/profile.json", {"trainable_parameters": 0, "total_parameters": 985_216})
    write_text(root / "models/demo-student/SHA256SUMS", "0" * 64 + "  model.safetensors\n")
    write_jsonl(root / "data/clinical/train.jsonl", [{"id": str(number)} for number in range(40)])
    write_json(root / "usage.json", USAGE)
    write_cost(root / "annotator_cost.json", 119.0)
    evaluations = []
    for method, skill in skills.items():
        seeds, predictions = [1, 2] if method in ("sft", "stepwise") else [0], root / f"clinical_{method}/predictions"
        for seed in seeds:
            rows = [
                {
                    "id": name,
                    "split": "test",
                    "test_set": name[:2],
                    "sampling_seed": None,
                    "references": [" ".join(text) + "."],
                    "prediction": " ".join(word if rng.random() < skill else rng.choice(WORDS) for word in text) + ".",
                }
                for name, text in references.items()
            ]
            write_jsonl(predictions / f"seed_{seed}/predictions.jsonl", rows)
            if len(seeds) > 1:  # what only models have
                likelihoods = [{"id": name, "nll": 24.0, "tokens": 12, "correct": 9} for name in references]
                write_jsonl(predictions / f"seed_{seed}/likelihood.jsonl", likelihoods)
        write_json(predictions / "cost.json", CostMeter(root / "none").total())
        write_json(predictions / "versions.json", {"python": "3.11"})
        write_json(predictions / "hardware.json", {"device": "cpu", "threads": 1})
        write_json(predictions / "job.json", {"sentences": 1 + EXTRACTS.index(method)} if method in EXTRACTS else {})
        if method not in EXTRACTS:
            for model in model_directories(root, "clinical", method, seeds):
                write_model(model, rng)
                write_cost(model.parent / "cost.json", 30.0)
        write_asked(root / "data/multiclinsum/cropped.jsonl", root)
        evaluations.append(evaluate(root, method, seeds, provider))
    return evaluations


def evaluate(root, method, seeds, provider):
    described = {"task": "multiclinsum", "test_sets": [*LANGUAGES], "teacher": None}
    described["statistics"] = {"resamples": 1000, "seed": 0}
    described["annotator"] = {"provider": provider, "model": "lab/writer"} if method == "stepwise" else None
    described["student"] = None if method in EXTRACTS else "demo-student"
    arguments = evaluate_arguments(root, "clinical", method, seeds, **described)
    for option in ("--base", "--models", "--costs") if method in EXTRACTS else ():
        if option in arguments:
            place = arguments.index(option)
            del arguments[place : place + 2]
    if method in EXTRACTS:
        arguments.remove(str(root / "data/clinical/train.jsonl"))
    if method == "stepwise":
        arguments += ["--usage", str(root / "usage.json")]
        arguments += ["--annotator-cost", str(root / "annotator_cost.json")] if provider == "local" else []
    script("evaluate", arguments)
    return root / f"clinical_{method}/eval.json"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("documents")
    evaluations = write_documents(root)
    config = ["--config", str(root / "config.yaml"), "--output-dir", str(root / "report")]
    script("report", ["--evals", *map(str, evaluations), *config])
    return root


@pytest.fixture(scope="module")
def study(tree):
    return collect([tree / f"clinical_{method}/eval.json" for method in METHODS])[0]


@pytest.fixture(scope="module")
def text(tree):
    """The page, in words."""
    page = Page()
    page.feed((tree / "report/index.html").read_text())
    assert page.open == []
    return re.sub(r"\s+", " ", " ".join(page.text))


def test_titles_of_languages_and_of_other_test_sets():
    assert metric_title("rouge_l/es", languages=True) == "ROUGE-L (es)"
    assert metric_title("rouge_2_unicode/pt", languages=True) == "ROUGE-2 (Unicode, pt)"
    assert metric_title("rouge_l/vicuna") == "ROUGE-L on vicuna"


def test_tables_show_some_metrics_and_summary_csv_all(tree, study, text):
    shown = ["rouge_l", "rouge_l/en", "rouge_l/es", "rouge_1", "rouge_2", "rouge_lsum", "bleu", "chrf", "exact_match"]
    main, unicode = study.tables
    assert list(main.names) == shown
    assert list(unicode.names) == [
        f"rouge_{name}"
        for name in ("l_unicode", "l_unicode/en", "l_unicode/es", "1_unicode", "2_unicode", "lsum_unicode")
    ]
    results, tokens = text.split("ROUGE by Unicode tokens")
    for experiment in study.experiments:
        for table, where in ((main, results), (unicode, tokens)):
            for name in table.names:
                metric, places = experiment.metric(name), 3 if name == "exact_match" else 2
                assert f"{number(metric.mean, places)} {bracket(metric.ci95, places)}" in where
    head = next(line for line in (tree / "report/summary.md").read_text().splitlines() if "| seeds |" in line)
    assert head.split(" | ")[2:11] == [metric_title(name, languages=True) for name in shown]
    rows = {row["method"]: row for row in csv.DictReader((tree / "report/summary.csv").open())}
    assert set(study.first.metrics) <= set(rows["sft"]) and len(study.metric_names) > 35
    assert float(rows["sft"]["perplexity"]) == pytest.approx(np.exp(2), abs=1e-6) and rows["lead"]["perplexity"] == ""


def test_bertscore_has_a_column_where_it_was_computed():
    table = SUMMARIES.tables[0].of(["rouge_l", "bertscore", "bertscore/en", "exact_match"])
    assert table.names == ("rouge_l", "bertscore", "exact_match")


def test_signatures_stand_below_and_must_be_the_same(study, text):
    assert "tok:13a" in text and "not computed: the study names no encoder" in text
    assert {title: len(texts) for title, texts in signatures(study).items()} == dict.fromkeys(
        ("ROUGE", "ROUGE (Unicode)", "BLEU", "chrF", "BERTScore"), 1
    )
    assert "computed in the same way" not in said("warnings.html.j2", study)
    own = study.get("sft").evaluation.signatures
    before, own["bleu"] = own["bleu"], "another version"
    try:
        assert "BLEU was not computed in the same way" in said("warnings.html.j2", study)
    finally:
        own["bleu"] = before


def test_extracts_are_references_without_a_model(tree, study, text):
    assert [each.method for each in study.experiments if each.is_reference] == ["base", *EXTRACTS]
    assert [(each.a.method, each.b.method) for each in against_sft(study)] == [("stepwise", "sft")]
    cost = study.get("lead").evaluation.cost
    assert cost.train is cost.teacher is cost.trainable_parameters is cost.total_parameters is None
    assert "Lead takes 1 sentence and TextRank takes 2 sentences of each document" in text
    card = (tree / "clinical_textrank/README.md").read_text()
    assert "| base model | – |" in card and "| answers | 2 sentences of the document |" in card
    assert "## Use" not in card and "## Use" in (tree / "clinical_sft/README.md").read_text()


def test_an_extract_that_is_ahead_is_said_to_be_and_is_no_best_student(tmp_path):
    study = collect(write_documents(tmp_path, {"lead": 0.9, "base": 0.1, "sft": 0.2, "stepwise": 0.3}))[0]
    best = [each.method for each in study.experiments if study.is_best(each, "rouge_l")]
    assert study.ranked[0].method == "lead" and best == ["stepwise"]
    assert said("conclusion.html.j2", study).startswith(
        "No trained method is ahead of Lead, which needs no model. Lead is best on ROUGE-L: "
    )


def test_what_rationales_cost(tree, study, text):
    cost = study.get("stepwise").evaluation.cost
    assert cost.annotation.calls == USAGE["calls"] and cost.annotation.latency_s == USAGE["latency_s"]
    assert cost.annotation.dollars == cost.money_usd == 0.0123
    assert cost.annotation.training is None and study.get("sft").evaluation.cost.annotation is None
    sentence = (
        "The rationales of Step-by-step were written by lab/writer (provider openrouter, as lab/writer-2024, served by "
        "Here and There), about synthetic documents."
    )
    assert text.count(sentence) == 1
    row = "Step-by-step 39 of 40 45 6 rate limit 3 timeout 1 unfinished 2 52.5 k 9185 $0.0123 1.2 s 4.5 s – –"
    assert row in text
    assert "also needs the rationales of lab/writer: 45 calls and $0.0123." in text
    rows = {row["method"]: row for row in csv.DictReader((tree / "report/summary.csv").open())}
    assert rows["stepwise"]["annotation_output_tokens"] == "9185" and rows["sft"]["annotation_calls"] == ""
    assert "Rationales by `lab/writer` (provider `openrouter`)" in (tree / "clinical_stepwise/README.md").read_text()


def test_a_local_annotator_was_trained(tmp_path):
    study = collect(write_documents(tmp_path, {"sft": 0.6, "stepwise": 0.6}, provider="local"))[0]
    [row] = rationales(study)
    assert row.local
    assert row.annotation.training == JobCost(**read_json(tmp_path / "annotator_cost.json"))
    assert "45 calls and 1 min 59 s of processor time to train it." in said("conclusion.html.j2", study)


def test_methods_of_one_annotation_share_its_row(study):
    cost = study.get("sft").evaluation.cost
    cost.annotation = study.get("stepwise").evaluation.cost.annotation.model_copy(deep=True)
    try:
        assert [row.methods for row in rationales(study)] == [["SFT", "Step-by-step"]]
    finally:
        cost.annotation = None


def test_dollars():
    assert [dollars(value) for value in (None, 0.0, 0.00421, 1204.5)] == ["–", "$0.00", "$0.0042", "$1,204.50"]
