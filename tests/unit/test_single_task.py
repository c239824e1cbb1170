"""The single-task variant of distilling step-by-step, from its training file to scored answers."""

from types import SimpleNamespace

import pytest
from pipestill.evaluation.submission import submission
from pipestill.settings.train import TrainingSettings
from pipestill.training.inputs import Inputs

from pipestill.errors import UserError
from pipestill.evaluation.texts import load_text_runs
from pipestill.inference.answers import answer_run
from pipestill.inference.by_hand import predict_text
from pipestill.inference.target import find_target
from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.row_log import RowLog
from pipestill.models.loading import load_tokenizer, load_trained_model
from pipestill.models.rows import read_answers, read_joined
from pipestill.reporting.warnings import _of_experiment
from pipestill.settings.data import CropConfig
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import PredictionSettings
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import StepwiseConfig, TrainingConfig
from pipestill.tasks import TASKS
from pipestill.text.marker import join, split
from pipestill.training.run import train
from support.models import CPU, make_directory, make_directory_of, make_tokenizer

TOKENIZER = make_tokenizer()
ROOM = 40  # tokens for a rationale and the marker
TEXTS = {  # text: rationale and answer
    "Age: 23.0": ("Age", "Good"),
    "Debt: 809.98": ("Outstanding Debt", "Standard Debt"),
    "Scientist": ("Bad, Bad", "Bad Occupation"),
}
TASK = TASKS["multiclinsum"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Two lines\nof it.\n### Answer\nGood\nand more", ("Two lines\nof it.", "Good\nand more")),
        ("It says ### Answer here\n### Answer\nGood", ("It says ### Answer here", "Good")),
        ("Key. ### Answer Good", ("Key.", "Good")),  # of a tokenizer without line breaks
        ("### Answer\nGood", ("", "Good")),
        ("Key.\n### Answer", ("Key.", "")),
        ("Good", (None, "Good")),
        ("Good\n### Answe", (None, "Good\n### Answe")),
        ("", (None, "")),
    ],
)
def test_the_answer_is_what_follows_the_last_marker(text, parts):
    assert split(text) == parts


def test_rationale_and_answer_are_found_again():
    for rationale, answer in [*TEXTS.values(), (None, "Good"), ("a ### Answer b", "Good")]:
        assert split(join(rationale, answer)) == (rationale, answer)
    for rationale in ("Key", None):
        with pytest.raises(UserError, match="the answer holds `### Answer`"):
            join(rationale, "Good ### Answer")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "stepwise.jsonl"
    rows = [
        {"input": TASK.message(text), "output": answer, "rationale_prompt": "Why?", "rationale": rationale}
        for text, (rationale, answer) in TEXTS.items()
    ]
    write_jsonl(path, rows)
    return path


@pytest.mark.parametrize("start", [None, 0])
def test_rows_are_those_of_sft_with_another_target(tmp_path, file, start):
    rows = read_jsonl(file)
    del rows[1]["rationale"], rows[1]["rationale_prompt"]
    targets = ["Age\n### Answer\nGood", "Standard Debt", "Bad, Bad\n### Answer\nBad Occupation"]
    write_jsonl(tmp_path / "some.jsonl", rows)
    write_jsonl(
        tmp_path / "plain.jsonl",
        ({"input": row["input"], "output": text} for row, text in zip(rows, targets, strict=True)),
    )
    plain = read_answers(tmp_path / "plain.jsonl", TOKENIZER, 128, start)
    assert read_joined(tmp_path / "some.jsonl", TOKENIZER, 128, start) == plain
    write_jsonl(tmp_path / "bad.jsonl", [rows[0], rows[1] | {"output": "### Answer"}])
    with pytest.raises(UserError, match=r"bad.jsonl, line 2: the answer holds"):
        read_joined(tmp_path / "bad.jsonl", TOKENIZER, 128, start)


@pytest.fixture(scope="module", params=["causal", "t5"])
def trained(request, tmp_path_factory, file):
    """A study's tree with one student that has learnt its rows by heart, chosen by the metric of its answers."""
    results = tmp_path_factory.mktemp("results")
    base = results / "models/base"
    make_directory(base) if request.param == "causal" else make_directory_of(request.param, base)
    training = TrainingConfig(
        **dict(learning_rate=3e-3, max_steps=50, adaptation="full", select="metric", keep_best=1, evaluations=1),
        **dict(stepwise=StepwiseConfig(mode="single_task"), max_length=256),
    )
    settings = TrainingSettings(
        **dict(objective="stepwise", training=training, hardware=HardwareConfig(device="cpu")),
        **dict(task="multiclinsum", generation=GenerationConfig(max_new_tokens=20), rationale_tokens=ROOM),
    )
    run = results / "multiclinsum_stepwise/seed_1"
    places = run / "state", run / "model", run / "cost.json", run / "memory.jsonl"
    train(settings, Inputs(data=file, validation=file, base=base), 5, 1, *places)
    return SimpleNamespace(results=results, base=base, model=run / "model")


def answered(trained, tmp_path, new_tokens=20 + ROOM):
    """The runs of an experiment that predicted with ``trained``, and its rows."""
    settings = PredictionSettings(
        **dict(task="multiclinsum", code="1", null_inputs=None, calibration="none", max_chars=200),
        **dict(crop=CropConfig(), template="plain"),
        **dict(max_prompt_tokens=196, max_new_tokens=new_tokens, rationale_tokens=ROOM, adaptation="full"),
        **dict(hardware=HardwareConfig(device="cpu"), generation=GenerationConfig()),
    )
    model = load_trained_model(trained.model, trained.base, CPU).eval()
    log, cost = RowLog(tmp_path / "answers.jsonl"), CostMeter(tmp_path / "cost.json")
    tokenizer = load_tokenizer(trained.base)  # each is trained anew, and ties among its merges may fall either way
    answer_run(model, tokenizer, settings, RECORDS, log, cost, tmp_path / "predictions/seed_1", "test")
    runs = load_text_runs(tmp_path / "predictions", TASK.test_sets, TASK.metrics)
    return runs[1].entry(), read_jsonl(tmp_path / "predictions/seed_1/predictions.jsonl")


RECORDS = [
    {"id": str(number), "split": "test", "test_set": "en", "prompt": TASK.message(text), "references": [answer]}
    | {"meta": {"file": f"case_{number}"}}
    for number, (text, (_, answer)) in enumerate(TEXTS.items())
]


def test_what_follows_the_marker_is_predicted_scored_chosen_by_and_submitted(trained, tmp_path):
    entry, rows = answered(trained, tmp_path)
    assert [(row["rationale"], row["prediction"]) for row in rows] == list(TEXTS.values())
    assert entry["metrics"]["rouge_l"] == pytest.approx(100) and entry["unmarked"] == 0
    (candidate,) = read_json(trained.model / "selection.json")["candidates"]
    assert candidate["rouge_l"] == pytest.approx(100)
    files = submission(rows, RECORDS, "team", 1).files
    assert list(files.values()) == [f"{answer}\n" for _, answer in TEXTS.values()]
    target = find_target(str(trained.model), trained.results, None, "multiclinsum", None, None)
    for text, (rationale, answer) in TEXTS.items():
        found = predict_text(target, text, "", 1)
        assert (found["rationale"], found["prediction"]) == (rationale, answer)


def test_an_answer_without_a_marker_is_scored_whole_and_counted(trained, tmp_path):
    entry, rows = answered(trained, tmp_path, new_tokens=2)  # cut before any marker
    assert [row["rationale"] for row in rows] == [None] * 3 and all(row["prediction"] for row in rows)
    assert entry["unmarked"] == 3
    run = {"seed": 1, **entry}
    experiment = SimpleNamespace(evaluation={"runs": [run], "metrics": {}}, title="Step-by-step", notes=[], method="s")
    assert _of_experiment(experiment) == [
        "Step-by-step, seed 1: 3 answers have no marker that tells them from their rationales, and are scored whole."
    ]
    run["unmarked"] = 0
    assert _of_experiment(experiment) == []
