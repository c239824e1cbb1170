"""Answers that repeat themselves to their end: found in any text, counted, and said."""

import sys

import pytest

from pipestill.answers.generated.show import warnings
from pipestill.cli.predict import _show
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.reporting.collect import collect
from pipestill.tasks import TASKS
from pipestill.text.repetition import repeats_to_the_end
from support.reports import script
from support.text_experiment import runs_of, write_experiment

LOOPS = [
    "grape, grape, grape, grape",
    "One. The dog saw the dog saw the dog saw the d",
    "The patient recovered. The patient recovered. The patient recovered.",
    "ererererererererererererer",
    "1. April\n2. May\n2. May\n2. May\n2. May\n",
    "猫が犬を見た。猫が犬を見た。猫が犬を見た。",
    "0" * 40,
]
OTHERS = [
    "",
    "one: grape, grape",
    "ha ha ha ha",
    "grape, grape, grape, grape, grape, and that is all",
    "The dog saw the cat, the cat saw the dog, and the dog ran.",
    "1000000000000",
    "The patient recovered. The patient recovered.",
    "abcdefghijklmnopqrstuvwxyz" * 2,
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_found(text):
    assert repeats_to_the_end(text) and repeats_to_the_end(f"Before it: {text}")


def test_a_loop_is_found_wherever_it_is_cut():
    part = "the dog saw a cat and "
    assert all(repeats_to_the_end(f"At last {part * 3}{part[:cut]}") for cut in range(len(part)))


@pytest.mark.parametrize("text", OTHERS)
def test_other_texts_do_not_repeat(text):
    assert not repeats_to_the_end(text)


def test_a_long_text_takes_one_pass():
    assert repeats_to_the_end("ab" * 500_000) and not repeats_to_the_end("a" * 300_000 + "b" * 3)


def test_answers_that_loop_are_counted_and_the_report_says_how_many(tmp_path):
    """But for those whose reference does so too."""
    arguments = write_experiment(tmp_path, seeds=(1, 2), sampling_seeds=(None,), agreement=False)
    for seed, loops in ((1, 3), (2, 0)):
        path = tmp_path / f"dolly_todi/predictions/seed_{seed}/predictions.jsonl"
        rows = read_jsonl(path)
        for number, row in enumerate(rows):
            row["prediction"] = "red " * 20 if number < loops else "The sea is blue."
        rows[5] |= {"prediction": "blue " * 20, "references": ["blue " * 20]}
        write_jsonl(path, rows)
    assert [run.repeating for run in runs_of(tmp_path / "dolly_todi/predictions").values()] == [3, 0]
    script("evaluate", arguments)
    (study,) = collect([tmp_path / "dolly_todi/eval.json"])
    assert warnings(study) == [
        "ToDi: 3 answers of 44 (7%) repeat the same words to their end, as a model does that finds no end before the "
        "limit of its length."
    ]


def test_a_note_by_hand(capsys):
    reply = {"prediction": "grape, grape", "cropped": False, "repeats": True}
    _show(TASKS["dolly"], reply, False)
    assert capsys.readouterr() == ("grape, grape\n", "note: the answer repeats itself and was cut\n")
    _show(TASKS["dolly"], reply | {"repeats": False}, False)
    assert sys.stdout and capsys.readouterr().err == ""
