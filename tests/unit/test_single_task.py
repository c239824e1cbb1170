"""The single-task variant of distilling step-by-step, from its training file to scored answers."""

from types import SimpleNamespace

import pytest

from pipestill.answers.text import predict, score, show
from pipestill.errors import UserError
from pipestill.inference.by_hand import Predictor
from pipestill.inference.loaded import Loaded
from pipestill.inference.target import find_target
from pipestill.inference.work import Work
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.models.kinds import Reading
from pipestill.models.loading import load_tokenizer, load_trained_model
from pipestill.models.rows import RowEncoder, read_answers, read_joined
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS
from pipestill.tasks.multiclinsum.submission import submission
from pipestill.text.marker import join, split
from pipestill.training.files import Inputs
from pipestill.training.run import train
from support.asking import asking_about
from support.models import CPU, make_directory, make_directory_of, make_tokenizer
from support.training_job import outputs_in

TOKENIZER = make_tokenizer()
ROOM = 40  # tokens for a rationale and the marker
TEXTS = {  # text: rationale and answer
    "Age: 23.0": ("Age", "Good"),
    "Debt: 809.98": ("Outstanding Debt", "Standard Debt"),
    "Scientist": ("Bad, Bad", "Bad Occupation"),
}
TASK = TASKS["multiclinsum"]


def message(text):
    return TASK.prompts["answer"].fill({"document": text})


def asking(new_tokens=20 + ROOM):
    return asking_about(TASK.name, max_prompt_tokens=196, max_new_tokens=new_tokens, rationale_tokens=ROOM)


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
        {"input": message(text), "output": answer, "rationale_prompt": "Why?", "rationale": rationale}
        for text, (rationale, answer) in TEXTS.items()
    ]
    write_jsonl(path, rows)
    return path


@pytest.mark.parametrize("reading", [Reading(), Reading("seq2seq", 0)])
def test_rows_are_those_of_sft_with_another_target(tmp_path, file, reading):
    rows = read_jsonl(file)
    del rows[1]["rationale"], rows[1]["rationale_prompt"]
    targets = ["Age\n### Answer\nGood", "Standard Debt", "Bad, Bad\n### Answer\nBad Occupation"]
    write_jsonl(tmp_path / "some.jsonl", rows)
    write_jsonl(
        tmp_path / "plain.jsonl",
        ({"input": row["input"], "output": text} for row, text in zip(rows, targets, strict=True)),
    )
    encoder = RowEncoder(TOKENIZER, 128, reading)
    assert read_joined(tmp_path / "some.jsonl", encoder) == read_answers(tmp_path / "plain.jsonl", encoder)
    write_jsonl(tmp_path / "bad.jsonl", [rows[0], rows[1] | {"output": "### Answer"}])
    with pytest.raises(UserError, match=r"bad.jsonl, line 2: the answer holds"):
        read_joined(tmp_path / "bad.jsonl", encoder)


@pytest.fixture(scope="module", params=["causal", "t5"])
def trained(request, tmp_path_factory, file):
    """A study's tree with one student that has learnt its rows by heart, chosen by the metric of its answers."""
    results = tmp_path_factory.mktemp("results")
    base = results / "models/base"
    make_directory(base) if request.param == "causal" else make_directory_of(request.param, base)
    training = TrainingConfig(
        learning_rate=3e-3, max_steps=50, adaptation="full", select="metric", keep_best=1, evaluations=1, max_length=256
    )
    settings = TrainingSettings(
        **dict(method="stepwise", options={"mode": "single_task"}, training=training),
        **dict(hardware=HardwareConfig(device="cpu"), rationale_tokens=ROOM, selection=asking()),
    )
    run = results / "multiclinsum_stepwise/seed_1"
    train(settings, Inputs(data=file, validation=file, base=base), outputs_in(run), 5, 1)
    return SimpleNamespace(results=results, base=base, model=run / "model")


def answered(trained, tmp_path, new_tokens=20 + ROOM):
    """The runs of an experiment that predicted with ``trained``, and its rows."""
    model = load_trained_model(trained.model, trained.base, CPU).eval()
    tokenizer = load_tokenizer(trained.base)  # each is trained anew, and ties among its merges may fall either way
    work = Work(tmp_path, CostMeter(tmp_path / "cost.json"), "test")
    directory = tmp_path / "predictions/seed_1"
    predict.predict(TASK, Loaded(model, tokenizer, CPU), asking(new_tokens), RECORDS, work, directory)
    experiment = SimpleNamespace(test_sets=["en"], splitter="sentencex")
    return score.runs(TASK, experiment, tmp_path / "predictions", {})[1], read_jsonl(directory / "predictions.jsonl")


RECORDS = [
    Record(
        **dict(id=str(number), split="test", inputs={"document": text}, target=answer, references=[answer]),
        **dict(test_set="en", prompt=message(text), meta={"file": f"case_{number}"}),
    )
    for number, (text, (_, answer)) in enumerate(TEXTS.items())
]


def test_what_follows_the_marker_is_predicted_scored_chosen_by_and_submitted(trained, tmp_path):
    run, rows = answered(trained, tmp_path)
    assert [(row["rationale"], row["prediction"]) for row in rows] == list(TEXTS.values())
    assert run.metrics["rouge_l"].estimate() == pytest.approx(100) and run.unmarked == 0
    (candidate,) = read_json(trained.model / "selection.json")["candidates"]
    assert candidate["rouge_l"] == pytest.approx(100)
    files = submission(rows, RECORDS, "team", 1).files
    assert list(files.values()) == [f"{answer}\n" for _, answer in TEXTS.values()]
    predictor = Predictor(find_target(str(trained.model), trained.results, TASK.name))
    for text, (rationale, answer) in TEXTS.items():
        found = predictor.reply({"document": text})
        assert (found["rationale"], found["prediction"]) == (rationale, answer)


def test_an_answer_without_a_marker_is_scored_whole_and_counted(trained, tmp_path):
    run, rows = answered(trained, tmp_path, new_tokens=2)  # cut before any marker
    assert [row["rationale"] for row in rows] == [None] * 3 and all(row["prediction"] for row in rows)
    assert run.unmarked == 3
    found = SimpleNamespace(seed=1, details=run.details())
    experiment = SimpleNamespace(evaluation=SimpleNamespace(runs=[found]), title="Step-by-step")
    study = SimpleNamespace(experiments=[experiment], first=SimpleNamespace(signatures={}))
    assert show.warnings(study) == [
        "Step-by-step, seed 1: 3 answers have no marker that tells them from their rationales, and are scored whole."
    ]
    found.details["unmarked"] = 0
    assert show.warnings(study) == []
