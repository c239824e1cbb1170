"""Options of `pipestill predict`: those of every model, and those of its task."""

import json
import sys

import pytest

from pipestill.answers.labels import LabelOptions
from pipestill.answers.text import TextOptions
from pipestill.cli import main
from pipestill.inference.by_hand import Predictor
from pipestill.io.files import write_text
from pipestill.io.records import write_jsonl

MODEL = "resources/models/demo-student"


@pytest.fixture
def run(monkeypatch, capsys):
    """The output of a command, its errors and its exit status; what a model would be asked is printed instead."""
    monkeypatch.setattr(
        Predictor, "reply", lambda self, inputs, fields: self.ask(inputs, fields) and answer(self, inputs)
    )

    def answer(predictor, inputs):
        return {"prediction": json.dumps(inputs), "options": predictor.asking.answers, "cropped": False}

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipestill", "predict", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        return (*capsys.readouterr(), code)

    return run


def test_texts_come_from_options_files_and_standard_input(run, tmp_path, monkeypatch):
    write_text(tmp_path / "input.txt", "cow, train")
    out, _, code = run(MODEL, "--task", "dolly", "--instruction", "Count.", "--file", tmp_path / "input.txt")
    assert (code, json.loads(out)) == (0, {"instruction": "Count.", "input": "cow, train"})
    monkeypatch.setattr(sys.stdin, "read", lambda: "Name 3.", raising=False)
    out, _, _ = run(MODEL, "--task", "dolly", "--file", "-")
    assert json.loads(out) == {"instruction": "Name 3."}


def test_a_table_is_answered_line_by_line(run, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [{"instruction": "Count."}, {"instruction": "Name.", "input": "x"}])
    out, _, code = run(MODEL, "--task", "dolly", "--file", tmp_path / "rows.jsonl")
    asked_for = [json.loads(json.loads(line)["prediction"]) for line in out.splitlines()]
    assert code == 0 and asked_for == [{"instruction": "Count."}, {"instruction": "Name.", "input": "x"}]


def test_options_of_the_answers_are_those_of_the_task(run):
    out, _, _ = run(
        *(MODEL, "--task", "dolly", "--json", "--instruction", "a", "--sampling", "--temperature", "0.5"),
        *("--max-new-tokens", "7"),
    )
    assert json.loads(out)["options"] == {"sampling": True, "temperature": 0.5, "max_new_tokens": 7}
    assert LabelOptions.asked() == ["max_new_tokens", "calibration"]
    assert "bertscore" not in TextOptions.asked() and "sampling_seeds" not in TextOptions.asked()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features", "a"], "task `dolly` takes instruction, input: leave `features` out"),
        (["--instruction", "a", "b"], "`b` belongs to no option: put quotation marks around texts with spaces"),
        (["--instruction", "a", "--temperature", "0"], "`temperature`: Input should be greater than or equal to 0.01"),
        (["--instruction", "a", "--input", "b", "--file", "c.txt"], "every input is given: leave `--file` out"),
        (["--file", "none.txt"], "none.txt"),
        (["--instruction", ""], "the input text is empty: give `instruction`"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(run, arguments, message):
    _, err, code = run(MODEL, "--task", "dolly", *arguments)
    assert code == 1 and err.count("\n") == 1 and message in err


def test_help_shows_what_a_model_takes(run):
    out, _, _ = run("--help")
    assert "mnli            --premise, --hypothesis" in out
    out, _, _ = run(MODEL, "--task", "mnli", "--help")
    assert "--premise TEXT" in out and "--calibration {auto," in out and "--instruction TEXT" not in out
    assert run()[2] == 2
