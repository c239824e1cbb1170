"""Evaluation of generated text: from predictions to eval.json, scores.jsonl and the model card."""

import json

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from pipestill.answers.generated.score import metrics_of
from pipestill.errors import UserError
from pipestill.evaluation.closeness import read_closeness
from pipestill.evaluation.evaluation import read_evaluation
from pipestill.evaluation.membership import Membership
from pipestill.evaluation.statistics import interval, replicates
from pipestill.io.files import read_json, write_json, write_text
from pipestill.io.records import read_jsonl, write_jsonl
from support.reports import bootstrap, script
from support.text_experiment import SETS, measured, runs_of, write_experiment


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("text")
    script("evaluate", write_experiment(root))
    return root


def scored(root, seed, sampling_seed):
    """Mean ROUGE-L of each test set by the library, in one pass of one run."""
    scorer, by_set = RougeScorer(["rougeL"], use_stemmer=True), {}
    for row in read_jsonl(root / f"dolly_todi/predictions/seed_{seed}/predictions.jsonl"):
        if row["split"] == "test" and row["sampling_seed"] == sampling_seed:
            best = scorer.score_multi(row["references"], row["prediction"])["rougeL"].fmeasure
            by_set.setdefault(row["test_set"], []).append(100 * best)
    return {name: np.mean(values) for name, values in by_set.items()}


def test_evaluation_follows_from_the_predictions(tree):
    evaluation = read_json(tree / "dolly_todi/eval.json")
    assert evaluation["primary_metric"] == "rouge_l" and evaluation["test_sets"] == SETS and evaluation["n_test"] == 22
    assert list(evaluation["test_sets"]) == ["dolly", "vicuna", "sinst"]  # in the task's order
    assert list(evaluation["metrics"]) == ["rouge_l", *(f"rouge_l/{name}" for name in SETS), "exact_match"]
    per_seed = []
    for seed, run in zip((1, 2, 3), evaluation["runs"], strict=True):
        passes = [scored(tree, seed, sampling_seed) for sampling_seed in (10, 20)]
        for number, sets in zip(("10", "20"), passes, strict=True):
            values = run["details"]["by_sampling_seed"][number]
            assert values["rouge_l"] == pytest.approx(np.mean(list(sets.values())))
            for name in SETS:
                assert values[f"rouge_l/{name}"] == pytest.approx(sets[name])
        per_seed.append(np.mean([value for sets in passes for value in sets.values()]))
        assert run["metrics"]["rouge_l"] == pytest.approx(per_seed[-1]) and run["n_test"] == 22
    summary = evaluation["metrics"]["rouge_l"]
    assert summary["per_seed"] == pytest.approx(per_seed) and summary["mean"] == pytest.approx(np.mean(per_seed))
    assert summary["ci95"][0] < summary["mean"] < summary["ci95"][1]
    assert summary["training_sd"] is not None and summary["sampling_sd"] > 0
    exact = np.mean([1 / size for size in SETS.values()])  # of each set, the second answer is its reference
    assert evaluation["metrics"]["exact_match"]["mean"] == pytest.approx(exact, abs=0.03)


def test_scores_give_the_same_runs_without_the_texts(tree):
    from_texts, from_scores = runs_of(tree / "dolly_todi/predictions"), measured(tree)
    assert list(from_texts) == list(from_scores) == [1, 2, 3]
    for seed, run in from_texts.items():
        assert (run.ids, run.test_sets) == (from_scores[seed].ids, from_scores[seed].test_sets)
        for name, metric in run.metrics.items():
            np.testing.assert_array_equal(metric.statistics, from_scores[seed].metrics[name].statistics)
    row = read_jsonl(tree / "dolly_todi/scores.jsonl")[0]
    assert set(row) == {"seed", "sampling_seed", "id", "test_set", "rouge_l", "exact_match"}


def test_resamples_keep_the_size_of_each_test_set():
    rng = np.random.default_rng(0)
    sets = ["a"] * 40 + ["b"] * 2
    values = np.concatenate([rng.normal(50, 10, 40), [10.0, 20.0]])
    metrics = metrics_of({"rouge_l": values}, Membership(sets))
    assert metrics["rouge_l"].estimate() == pytest.approx((values[:40].mean() + 15) / 2)
    samples = replicates([metrics], bootstrap(4000))
    np.testing.assert_allclose(samples["rouge_l"], (samples["rouge_l/a"] + samples["rouge_l/b"]) / 2)
    assert set(np.round(samples["rouge_l/b"], 9)) == {10.0, 15.0, 20.0}
    low, high = interval(samples["rouge_l/a"])
    assert high - low == pytest.approx(2 * 1.96 * values[:40].std() / np.sqrt(40), rel=0.1)


def test_greedy_answers_have_no_sampling_seed(tmp_path):
    script("evaluate", write_experiment(tmp_path, seeds=(0,), sampling_seeds=(None,), agreement=False))
    evaluation = read_json(tmp_path / "dolly_todi/eval.json")
    assert evaluation["runs"][0]["details"]["by_sampling_seed"] == {} and evaluation["agreement"] is None
    summary = evaluation["metrics"]["rouge_l"]
    assert (summary["sd"], summary["training_sd"], summary["sampling_sd"]) == (None, None, None)
    card = (tmp_path / "dolly_todi/README.md").read_text()
    assert "| answers | greedy, no 6 tokens twice |" in card and "Closeness" not in card


def test_model_card(tree):
    card, evaluation = (tree / "dolly_todi/README.md").read_text(), read_json(tree / "dolly_todi/eval.json")
    assert card.startswith("# dolly_todi\n\nToDi: A divergence.")
    summary = evaluation["metrics"]["rouge_l"]
    assert f"| ROUGE-L | {summary['mean']:.2f} |" in card and f"| {summary['sampling_sd']:.2f} |" in card
    assert "| test sets | dolly (7), vicuna (3), sinst (12) |" in card
    assert "sampled at temperature 1, 2 sampling seeds, top p 0.9, no 6 tokens twice" in card
    assert (
        "KL from the teacher 0.200 nats per token at temperature 1, all tokens that are not stored counting as one"
        in card
    )
    assert "synthetic data" in card and "- Note." in card and "pipestill predict dolly_todi --instruction" in card


def test_a_checkpoint_has_no_history_and_its_training_data_are_unknown(tmp_path):
    arguments = write_experiment(tmp_path, seeds=(0,))
    model = tmp_path / "dolly_todi/model"
    write_json(model / "profile.json", {"trainable_parameters": 7, "total_parameters": 985_000})
    write_text(model / "SHA256SUMS", "1" * 64 + "  model.safetensors\n")
    script("evaluate", [*arguments, "--models", str(model), "--costs"])
    evaluation = read_json(tmp_path / "dolly_todi/eval.json")
    assert evaluation["n_train"] is None and evaluation["runs"][0]["history"] == []
    assert evaluation["cost"]["train"] is None and evaluation["cost"]["trainable_parameters"] == 7
    assert "| training examples | – |" in (tmp_path / "dolly_todi/README.md").read_text()


def test_agreement(tree):
    directories = {seed: tree / f"dolly_todi/predictions/seed_{seed}" for seed in (1, 2, 3)}
    closeness = read_evaluation(tree / "dolly_todi/eval.json").agreement
    assert closeness == read_closeness(directories)
    assert closeness.kl.mean == pytest.approx(0.2) and closeness.kl.per_seed == pytest.approx([0.1, 0.2, 0.3])
    assert closeness.tokens == 90 and closeness.tail == "bucket"


@pytest.fixture
def predictions(tree, tmp_path):
    """Predictions of two runs, to be broken."""
    for seed in (1, 2):
        for name in ("predictions.jsonl", "agreement.json"):
            path = tmp_path / f"seed_{seed}" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes((tree / f"dolly_todi/predictions/seed_{seed}" / name).read_bytes())
    return tmp_path


def test_agreement_of_some_runs_only_or_with_other_distributions(predictions):
    directories = {seed: predictions / f"seed_{seed}" for seed in (1, 2)}
    write_json(directories[2] / "agreement.json", {**read_json(directories[2] / "agreement.json"), "tokens": 80})
    with pytest.raises(UserError, match=r"compare with different distributions: predict again"):
        read_closeness(directories)
    (directories[2] / "agreement.json").unlink()
    with pytest.raises(UserError, match=r"seed_2/agreement\.json is missing or incomplete"):
        read_closeness(directories)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"test_set": "odd"}, r"seed_2/predictions\.jsonl, line 5: the test set 'odd' is none of dolly, selfinst"),
        ({"prediction": None}, r"line 5: the prediction is NoneType, not text"),
        ({"references": []}, r"line 5: `references` must be a list"),
        ({"references": "one"}, r"line 5: `references` must be a list"),
        ({"id": "sinst-0"}, r"the id 'sinst-0' occurs twice with sampling seed 10"),
        ({"id": "new"}, r"the id 'new' is not answered with every sampling seed"),
        ({"split": "validation"}, r"the id 'sinst-4' is not answered with every sampling seed"),
    ],
)
def test_broken_row(predictions, values, message):
    path = predictions / "seed_2/predictions.jsonl"
    rows = read_jsonl(path)
    rows[4].update(values)
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=message):
        runs_of(predictions)


def test_row_without_a_field(predictions, tree, tmp_path):
    path = predictions / "seed_1/predictions.jsonl"
    rows = read_jsonl(path)
    del rows[2]["sampling_seed"]
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=r"line 3: sampling_seed is missing: predict again"):
        runs_of(predictions)
    write_jsonl(tmp_path / "dolly_todi/scores.jsonl", [{"seed": 1, "id": "a"}])
    with pytest.raises(UserError, match=r"scores\.jsonl, line 1: rouge_l, .* is missing: evaluate again"):
        measured(tmp_path)


def test_runs_that_disagree_on_a_test_set(predictions):
    path = predictions / "seed_2/predictions.jsonl"
    rows = read_jsonl(path)
    for row in rows:
        if row["id"] == "sinst-4":
            row["test_set"] = "uinst"
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=r"disagree on .*predict again"):
        runs_of(predictions)


def test_no_test_rows(predictions):
    path = predictions / "seed_1/predictions.jsonl"
    write_jsonl(path, [{**row, "split": "validation"} for row in read_jsonl(path)])
    with pytest.raises(UserError, match="holds no row of the test split"):
        runs_of(predictions)


def test_answers_of_no_test_set_are_measured_together(tmp_path):
    arguments = write_experiment(tmp_path)
    described = json.loads(arguments[1]) | {"test_sets": []}
    for path in tmp_path.glob("dolly_todi/predictions/*/predictions.jsonl"):
        write_jsonl(path, [{**row, "test_set": None} for row in read_jsonl(path)])
    script("evaluate", ["--experiment", json.dumps(described), *arguments[2:]])
    evaluation = read_evaluation(tmp_path / "dolly_todi/eval.json")
    assert evaluation.test_sets == {} and list(evaluation.metrics) == ["rouge_l", "exact_match"]
    rows = [row for row in read_jsonl(tmp_path / "dolly_todi/scores.jsonl") if row["seed"] == 2]
    assert evaluation.metrics["rouge_l"].per_seed[1] == pytest.approx(np.mean([row["rouge_l"] for row in rows]))
    for seed, run in measured(tmp_path, []).items():
        assert run.metrics["rouge_l"].estimate() == pytest.approx(evaluation.metrics["rouge_l"].per_seed[seed - 1])
    card = (tmp_path / "dolly_todi/README.md").read_text()
    assert "test sets" not in card and "Intervals cover the choice of test examples and the seeds." in card


def test_an_answer_of_a_test_set_where_there_are_none_is_refused(predictions):
    with pytest.raises(UserError, match=r"the test set '\w+' is none of None"):
        runs_of(predictions, [])
