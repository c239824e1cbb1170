"""The prediction job of a task with labels, predictions by hand, and what a teacher says about labels."""

import sys
from random import Random

import pytest

from pipestill import cli
from pipestill.answers.labels import Labels, predict
from pipestill.answers.labels.null_prompts import null_prompts
from pipestill.errors import UserError
from pipestill.inference.by_hand import Predictor
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.inference.loaded import load
from pipestill.inference.target import find_target
from pipestill.inference.work import Work
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.layouts.test_sets import TestSets as Sets
from pipestill.settings.jobs import Asking, PredictionSettings
from pipestill.settings.prompts import Prompt
from pipestill.tasks import TASKS, Task
from pipestill.tasks.base import ANSWER, UNCONDITIONED
from support.asking import asking_about
from support.models import CPU, make_directory

CREDITMIX = TASKS["creditmix"]
LABELS = CREDITMIX.answers.labels
LIMITS = {"max_prompt_tokens": 248, "max_new_tokens": 8}  # as those of a directory of a model
PAIRS = Task(
    name="pairs",
    inputs=("premise", "hypothesis"),
    prompts={ANSWER: Prompt(text="{premise}\n{hypothesis}\nTrue?"), UNCONDITIONED: Prompt(text="It is")},
    layout=Sets(("easy", "hard")),
    answers=Labels(("yes", "no"), null_inputs=("N/A",)),
    parse=None,
    synthetic=None,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("results") / "models/base", initializer_range=0.3)


@pytest.fixture(scope="module")
def records():
    draw, found = Random(0), []
    for number in range(30):
        split, label = ("train", "validation", "test")[number % 3], LABELS[number % len(LABELS)]
        inputs = {"features": f"Age: {draw.randint(18, 80)}.0, Outstanding Debt: {draw.random():.4f}"}
        prompt = CREDITMIX.prompts[ANSWER].fill(inputs)
        found.append(Record(f"c{number}", split, inputs, label, [label], prompt=prompt))
    return found


@pytest.fixture(scope="module")
def results(base, records):
    """Results with one experiment."""
    results = base.parents[1]
    write_jsonl(results / "cropped.jsonl", records)
    settings = PredictionSettings(
        asking=asking_about("creditmix", answers={"calibration": "batch"}, **LIMITS),
        **dict(data={"max_chars": 60}, adaptation="full", hardware={"device": "cpu"}, code="1"),
    )
    output = results / "creditmix_sft/predictions"
    predict_experiment(settings, Runs(base, {3: None}), results / "cropped.jsonl", results / "state", output, 1)
    return results


def test_validation_and_test_rows_are_ranked_and_calibrated(results, records):
    run = results / "creditmix_sft/predictions/seed_3"
    rows, fitted = read_jsonl(run / "predictions.jsonl"), read_json(run / "calibration.json")
    wanted = [record for record in records if record.split != "train"]
    assert [(row["id"], row["split"], row["references"]) for row in rows] == [
        (record.id, record.split, record.references) for record in wanted
    ]
    assert fitted["chosen"] == "batch"
    assert list(fitted["priors"]) == ["none", "multi_null", "domain_conditional", "pmi", "batch"]
    for row in rows:
        assert row["test_set"] is None and row["prior"] == fitted["priors"]["batch"]
        assert row["scores"] == {label: row["raw_scores"][label] - row["prior"][label] for label in LABELS}
        assert row["prediction"] == max(LABELS, key=row["scores"].get)
        assert sum(row["probabilities"].values()) == pytest.approx(1) and 0 < row["label_mass"] < 1
    assert len({row["prediction"] for row in rows}) > 1


def test_parts_of_the_rows_give_the_same_answers_and_are_resumed(results, base, tmp_path, monkeypatch):
    whole = results / "creditmix_sft/predictions"
    settings = PredictionSettings.model_validate(read_json(whole / "job.json")["settings"])
    monkeypatch.setattr("pipestill.inference.work.PART", 7)
    for _ in range(2):
        predict_experiment(
            settings, Runs(base, {3: None}), results / "cropped.jsonl", tmp_path / "state", tmp_path / "out", 1
        )
        monkeypatch.setattr("pipestill.answers.labels.predict.rank", lambda *_: iter(()))  # nothing is asked again
    rows, expected = (read_jsonl(each / "seed_3/predictions.jsonl") for each in (tmp_path / "out", whole))
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    for row, own in zip(rows, expected, strict=True):
        assert all(row[key] == own[key] for key in ("id", "split", "prediction", "references", "greedy"))
        assert row["raw_scores"] == pytest.approx(own["raw_scores"], abs=1e-5)
    assert len(list((tmp_path / "state").rglob("part_*/scores.jsonl"))) == 3


def test_by_hand_scores_are_those_of_the_pipeline(results, records):
    rows = {row["id"]: row for row in read_jsonl(results / "creditmix_sft/predictions/seed_3/predictions.jsonl")}
    record = records[-1]
    found = Predictor(find_target("creditmix_sft", results, "dolly")).reply(record.inputs)
    assert (found["model_name"], found["seed"], found["calibration"]) == ("creditmix_sft", 3, "batch")
    for name in ("raw_scores", "scores", "probabilities", "prior"):
        assert found[name] == pytest.approx(rows[record.id][name], abs=1e-5)
    assert found["prediction"] == rows[record.id]["prediction"] and not found["cropped"]
    assert Predictor(find_target("creditmix_sft", results, "dolly")).reply({"features": "Age: 1, " * 9})["cropped"]


def test_by_hand_a_prior_is_read_from_the_run_or_else_measured(results, base):
    priors = read_json(results / "creditmix_sft/predictions/seed_3/calibration.json")["priors"]
    for name in ("creditmix_sft", str(base)):
        for calibration in ("none", "multi_null", "pmi"):
            predictor = Predictor(find_target(name, results, "creditmix"), {"calibration": calibration})
            assert predictor.reply({"features": "Age: 23.0"})["prior"] == pytest.approx(priors[calibration], abs=1e-5)
    assert Predictor(find_target(str(base), results, "creditmix")).reply({"features": "a"})["calibration"] == "none"
    with pytest.raises(UserError, match="calibration `batch` was fitted in no experiment of this model"):
        Predictor(find_target(str(base), results, "creditmix"), {"calibration": "batch"})


def test_the_command_line_prints_the_label_and_all_probabilities(results, capsys, monkeypatch):
    command = ["pipestill", "predict", "creditmix_sft", "--results", str(results), "--features", "Age: 1, " * 9]
    monkeypatch.setattr(sys, "argv", [*command, "--calibration", "pmi"])
    cli.main()
    said = capsys.readouterr()
    first, *others = said.out.splitlines()
    assert first.split()[0] in LABELS and "(seed 3, margin " in first and "calibration pmi)" in first
    assert next(line.split()[0] for line in others) == first.split()[0]
    assert sorted(line.split()[0] for line in others) == sorted(LABELS)
    assert "its end was not read" in said.err


def test_a_teacher_answers_and_scores_every_label(base, tmp_path):
    loaded, work = load(base, None, CPU), Work(tmp_path, CostMeter(tmp_path / "cost.json"), "teacher")
    prompts = {"a": "Age: 23.0", "b": "Age: 99.0"}
    said = predict.say(CREDITMIX, loaded, asking_about("creditmix", **LIMITS), prompts, work)
    for key in prompts:
        row = said[key].row()
        assert row["id"] == key and len(row["outputs"]) == 1
        assert list(row["label_scores"]) == list(LABELS) and max(row["label_scores"].values()) < 0


def test_labels_of_pairs_of_texts_in_test_sets(base, tmp_path):
    """Two inputs: a content-free text stands for each, and bags of words are drawn from both."""
    rows = []
    for number in range(12):
        inputs = {"premise": f"Age: {number}.0", "hypothesis": f"Debt {number}"}
        split = ("train", "validation", "test")[number % 3]
        test_set, label = (("easy", "hard")[number % 2] if split == "test" else None), ("yes", "no")[number % 2]
        prompt = PAIRS.prompts[ANSWER].fill(inputs)
        rows.append(Record(str(number), split, inputs, label, [label], test_set, prompt))
    nulls = null_prompts(PAIRS.prompts[ANSWER], PAIRS.prompts[UNCONDITIONED], ["N/A"], rows)
    assert (nulls["multi_null"], nulls["pmi"]) == (["N/A\nN/A\nTrue?"], ["It is"])
    words = {word for row in rows if row.split == "train" for text in row.inputs.values() for word in text.split()}
    for prompt in nulls["domain_conditional"]:
        first, second, _ = prompt.splitlines()
        assert first == second and set(first.split()) <= words and len(first.split()) == 4
    loaded, work = load(base, None, CPU), Work(tmp_path, CostMeter(tmp_path / "cost.json"), "run")
    asking = Asking(task="pairs", prompt=PAIRS.prompts[ANSWER], **LIMITS)
    predict.predict(PAIRS, loaded, asking, rows, work, tmp_path / "seed_1")
    tested = [row for row in read_jsonl(tmp_path / "seed_1/predictions.jsonl") if row["split"] == "test"]
    assert [row["test_set"] for row in tested] == ["easy", "hard", "easy", "hard"]


def test_without_an_unconditioned_prompt_there_is_no_pmi(base):
    assert list(null_prompts(PAIRS.prompts[ANSWER], None, ["N/A"])) == ["multi_null"]
