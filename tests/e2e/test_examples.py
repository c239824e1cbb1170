"""A test example by hand is answered as the pipeline answered it, and stands beside its reference."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from pipestill.cli import main
from pipestill.io.records import of_split, read_records
from pipestill.schemas.schema import Schema, parse

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@pytest.fixture
def said(run, monkeypatch, capsys):
    monkeypatch.chdir(run)

    def said(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipestill", "predict", *arguments])
        try:
            main()
        except SystemExit as end:
            assert end.code == 1
        return capsys.readouterr()

    return said


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("creditmix_sft", "creditmix"),
        ("creditmix_vanilla", "creditmix"),
        ("mnli_icl", "mnli"),
        ("multiclinsum_sft", "multiclinsum"),
        ("multiclinsum-t5_kd", "multiclinsum"),
    ],
)
def test_an_example_has_the_answer_of_the_pipeline(run, said, name, task):
    records = of_split(read_records(run / "results" / "data" / task / "cropped.jsonl"), "test")
    lines = (run / "results" / name / "predictions" / "seed_1" / "predictions.jsonl").read_text().splitlines()
    answers = {row["id"]: row for row in reversed(list(map(json.loads, lines)))}
    found = json.loads(said(name, "--seed", "1", "--json", "--example", "2").out)
    record = records[1]
    assert found["example"]["id"] == record.id and found["example"]["references"] == record.references
    assert found["prediction"] == answers[record.id]["prediction"]
    out = said(name, "--seed", "1", "--example").out
    assert out.startswith(f"test example 1 of {len(records)} ({records[0].id}")
    assert f"reference: {records[0].references[0]}\nanswer: {answers[records[0].id]['prediction']}" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["creditmix_sft", "--example", "31"], "there is no test example 31: task `creditmix` has 30, from 1"),
        (["creditmix_sft", "--example", "0"], "there is no test example 0"),
        (["creditmix_sft", "--example", "--features", "a"], "an example has its own inputs"),
        (["results/models/demo-student", "--example"], "is no experiment, whose task has test examples"),
    ],
)
def test_what_is_no_example_is_one_sentence(said, arguments, message):
    error = said(*arguments).err
    assert message in error and error.count("\n") == 1


def test_the_example_of_the_readme_prints_an_object_like_the_one_that_it_shows(run, said):
    """Of a model of a few steps, what fields hold differs; that it is the object of the schema does not."""
    command, shown = re.search(r"^ {4}\$ pipestill predict (.*)\n {4}(\{.*\})$", README.read_text(), re.M).groups()
    printed = said(*shlex.split(command)).out.strip()
    schema = Schema.read(ROOT / "resources" / "schemas" / "idp_schema.json")
    assert schema.validate(parse(printed)) == [] == schema.validate(parse(shown))
    assert list(json.loads(printed)) == list(json.loads(shown))
