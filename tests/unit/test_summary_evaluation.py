"""Evaluation of summaries: every metric per language and for all, BERTScore from a file of its own."""

import json

import numpy as np
import pytest
import sacrebleu

from pipestill.answers.generated.score import metrics_of
from pipestill.answers.text.bertscore import bertscore_record
from pipestill.answers.text.score import NOT_COMPUTED
from pipestill.errors import UserError
from pipestill.evaluation.membership import Membership
from pipestill.evaluation.statistics import replicates
from pipestill.io.files import read_json, write_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.metrics.bertscore import BertScores
from pipestill.reporting.collect import load_experiment
from pipestill.tasks import lexicon
from pipestill.tasks.multiclinsum.archives import LANGUAGES
from support.asked import write_asked
from support.reports import bootstrap, script
from support.text_experiment import measured, runs_of, write_experiment

SIZES = {"en": 9, "es": 5}


class Encoder:
    """What an encoder tells of texts, so that it can be checked where it goes: their lengths."""

    layer = 2
    signature = {"encoder": "lengths", "layer": 2}

    def score(self, predictions, references, baselines=None):
        lower = [0.0 if baselines is None else base[2] for base in baselines or [None] * len(predictions)]
        f = [len(text) - base for text, base in zip(predictions, lower, strict=True)]
        return BertScores([1.0] * len(f), [2.0] * len(f), f, empty=1, truncated=2)

    def random_baseline(self, texts):
        return 0.0, 0.0, float(len(texts))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two runs of summaries in two languages, evaluated with BERTScores."""
    root = tmp_path_factory.mktemp("summaries")
    arguments = write_experiment(root, seeds=(1, 2), sampling_seeds=(None,), agreement=False)
    rng = np.random.default_rng(0)
    words = lexicon.words("el niño tenía fiebre the boy had fever and was treated today with surgery he improved")
    references = {f"{code}-{i}": " ".join(rng.choice(words, 12)) + "." for code, n in SIZES.items() for i in range(n)}
    for seed in (1, 2):
        rows = []
        for name, reference in references.items():
            kept = [word if rng.random() < 0.6 else "no" for word in reference.split()]
            row = {"id": name, "split": "test", "test_set": name[:2], "sampling_seed": None}
            rows.append({**row, "prediction": " ".join(kept), "references": [reference]})
        write_jsonl(root / f"dolly_todi/predictions/seed_{seed}/predictions.jsonl", rows)
    write_asked(root / "cropped.jsonl", root)
    write_json(root / "bertscore.json", bertscore_record(root / "dolly_todi/predictions", LANGUAGES, Encoder()))
    described = json.loads(arguments[1]) | {"task": "multiclinsum", "test_sets": list(LANGUAGES)}
    described["answers"]["sampling"] = False
    script(
        "evaluate", ["--experiment", json.dumps(described), *arguments[2:], "--bertscore", str(root / "bertscore.json")]
    )
    return root


def rows_of(tree, seed):
    return read_jsonl(tree / f"dolly_todi/predictions/seed_{seed}/predictions.jsonl")


def test_corpus_metrics_are_those_of_all_answers_and_of_each_language(tree):
    metrics = read_json(tree / "dolly_todi/eval.json")["metrics"]
    for name, metric in (("bleu", sacrebleu.BLEU()), ("chrf", sacrebleu.CHRF())):
        for language in (None, *SIZES):
            for index, seed in enumerate((1, 2)):
                rows = [row for row in rows_of(tree, seed) if language in (None, row["test_set"])]
                expected = metric.corpus_score(
                    [row["prediction"] for row in rows], [[row["references"][0] for row in rows]]
                ).score
                found = metrics[f"{name}/{language}" if language else name]
                assert found["per_seed"][index] == pytest.approx(expected, abs=1e-9)
                assert found["ci95"][0] <= found["mean"] <= found["ci95"][1]
                assert found["ci95"][0] < found["ci95"][1]


def test_means_over_answers_are_means_over_languages(tree):
    evaluation = read_json(tree / "dolly_todi/eval.json")
    metrics = evaluation["metrics"]
    for name in ("rouge_1", "rouge_2_unicode", "rouge_lsum", "bertscore"):
        parts = [metrics[f"{name}/{language}"]["mean"] for language in SIZES]
        assert metrics[name]["mean"] == pytest.approx(np.mean(parts))
        assert parts[0] != parts[1]
    assert "exact_match/en" not in metrics
    assert "rouge_lsum_precision/en" not in metrics
    assert metrics["rouge_lsum_precision"]["mean"] > 0
    assert evaluation["test_sets"] == SIZES


def test_signatures_say_how_each_metric_was_computed(tree):
    signatures = read_json(tree / "dolly_todi/eval.json")["signatures"]
    assert set(signatures) == {"rouge", "rouge_unicode", "bleu", "bleu_nltk", "chrf", "bertscore"}
    assert signatures["bertscore"]["empty"] == 2  # one of each run
    assert signatures["bertscore"]["signature"]["encoder"] == "lengths"
    assert signatures["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_bertscores_are_matched_by_id(tree):
    runs = measured(tree, LANGUAGES, "multiclinsum")
    lengths = {row["id"]: len(row["prediction"]) for row in rows_of(tree, 2)}
    assert runs[2].by_draw[None]["bertscore"].tolist() == [lengths[name] for name in runs[2].ids]


def test_the_report_gets_the_same_metrics_from_scores_as_from_texts(tree):
    from_texts = runs_of(tree / "dolly_todi/predictions", LANGUAGES, "multiclinsum")
    from_scores = load_experiment(tree / "dolly_todi/eval.json").runs
    for seed, run in from_texts.items():
        assert {name for name in from_scores[seed].metrics if "bertscore" not in name} == set(run.metrics)
        for name, metric in run.metrics.items():
            assert metric.estimate() == pytest.approx(from_scores[seed].metrics[name].estimate())
    bleu = [{"bleu": run.metrics["bleu"]} for run in from_texts.values()]
    again = [{"bleu": run.metrics["bleu"]} for run in from_scores.values()]
    one, other = (replicates(each, bootstrap(200))["bleu"] for each in (bleu, again))
    assert one == pytest.approx(other)


def test_rescaling_takes_the_baseline_of_each_language(tree):
    record = bertscore_record(tree / "dolly_todi/predictions", LANGUAGES, Encoder(), "corpus")
    plain = bertscore_record(tree / "dolly_todi/predictions", LANGUAGES, Encoder())
    assert record["signature"]["baselines"] == {code: (0.0, 0.0, float(size)) for code, size in SIZES.items()}
    for row, other in zip(record["scores"]["1"], plain["scores"]["1"], strict=True):
        assert other["bertscore"] - row["bertscore"] == SIZES[row["id"][:2]]


def test_rescaled_scores_may_be_negative():
    membership = Membership(["en", "en", "es"])
    metric = metrics_of({"bertscore": np.array([-30.0, -10.0, 5.0])}, membership)["bertscore/en"]
    samples = replicates([{"x": metric}], bootstrap(200))["x"]
    assert metric.estimate() == -20
    assert samples.min() == -30


def test_scores_of_other_predictions_are_refused(tree, tmp_path):
    content = read_json(tree / "bertscore.json")
    content["scores"]["2"].pop()
    write_json(tmp_path / "bertscore.json", content)
    file = tmp_path / "bertscore.json"
    with pytest.raises(UserError, match=r"has no score of 'es-4' \(seed 2\): compute BERTScore again"):
        runs_of(tree / "dolly_todi/predictions", LANGUAGES, "multiclinsum", bertscore=file)


def test_without_an_encoder_it_is_said_that_bertscore_was_not_computed(tree, tmp_path):
    arguments = write_experiment(tmp_path, seeds=(1,), sampling_seeds=(None,), agreement=False)
    write_jsonl(tmp_path / "dolly_todi/predictions/seed_1/predictions.jsonl", rows_of(tree, 1))
    write_asked(tmp_path / "cropped.jsonl", tmp_path)
    described = json.loads(arguments[1]) | {"task": "multiclinsum", "test_sets": list(LANGUAGES)}
    script("evaluate", ["--experiment", json.dumps(described), *arguments[2:]])
    evaluation = read_json(tmp_path / "dolly_todi/eval.json")
    assert evaluation["signatures"]["bertscore"] == NOT_COMPUTED
    assert not [name for name in evaluation["metrics"] if name.startswith("bertscore")]


def test_summaries_of_no_test_set_have_the_sentences_of_english(tree, tmp_path):
    rows = [{**row, "test_set": None} for row in rows_of(tree, 1)]
    write_jsonl(tmp_path / "seed_1/predictions.jsonl", rows)
    write_json(tmp_path / "bertscore.json", bertscore_record(tmp_path, [], Encoder(), "corpus"))
    metrics = runs_of(tmp_path, [], "multiclinsum", bertscore=tmp_path / "bertscore.json")[1].metrics
    assert not [name for name in metrics if "/" in name]
    answers, references = [row["prediction"] for row in rows], [row["references"][0] for row in rows]
    expected = sacrebleu.CHRF().corpus_score(answers, [references]).score
    assert metrics["chrf"].estimate() == pytest.approx(expected, abs=1e-9)
    assert metrics["bertscore"].estimate() == pytest.approx(np.mean([len(text) for text in answers]) - len(rows))
