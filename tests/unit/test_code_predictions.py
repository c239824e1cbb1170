"""The prediction job of a task whose answers are code, with and without a plan, and predictions by hand."""

from pathlib import Path

import pytest

from pipestill.answers.code import predict as half
from pipestill.inference import generation
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS
from support.asking import asking_about
from support.models import make_directory

TESTS = {"entry_point": "add", "before": "", "setup": "", "tests": ["assert add(1, 2) == 3"]}
COMMON = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "1"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("results") / "models/base", initializer_range=0.3)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    rows = [
        Record(
            *(f"r{number}", "test", {"prompt": f"Age: {number}"}, "def add", ["def add"], "seen", f"Age: {number}"),
            subset="sorting",
            meta={"task_id": f"Own/{number}", "line": number, **TESTS},
        )
        for number in range(5)
    ]
    path = tmp_path_factory.mktemp("data") / "cropped.jsonl"
    write_jsonl(path, rows)
    return path


def job(directory, base, records, **answers) -> Path:
    asking = asking_about("codegen", answers=answers, max_prompt_tokens=120, max_new_tokens=6)
    settings = PredictionSettings(asking=asking, data={"max_chars": 200}, **COMMON)
    predict_experiment(settings, Runs(base, {1: None}), records, directory / "state", directory / "out", threads=1)
    return directory / "out/seed_1"


SAMPLED = {"sampling": True, "sampling_seeds": [1, 2, 3]}


def test_tests_are_written_once_for_all_draws(tmp_path, base, records):
    run = job(tmp_path, base, records, **SAMPLED)
    rows, tests = read_jsonl(run / "predictions.jsonl"), read_jsonl(run / "tests.jsonl")
    assert len(rows) == 15 and "tests" not in rows[0] and "rationale" not in rows[0]
    assert [row["id"] for row in tests] == [f"r{number}" for number in range(5)]
    assert tests[0] == {"id": "r0", **TESTS, "subset": "sorting"}


def test_a_plan_is_written_once_and_shown_to_each_draw(tmp_path, base, records, monkeypatch):
    asked = []
    plain = generation.generate

    def generate(model, tokenizer, prompts, **how):
        asked.append((how["decoding"].sampling, [tokenizer.decode(prompt) for prompt in prompts]))
        return plain(model, tokenizer, prompts, **how)

    monkeypatch.setattr("pipestill.inference.answers.generate", generate)
    run = job(tmp_path, base, records, plan_then_code=True, **SAMPLED)
    (drawn_first, plans), (drawn, codes) = asked
    assert (drawn_first, len(plans)) == (False, 5) and (drawn, len(codes)) == (True, 15)
    assert all("plan" in prompt for prompt in plans)
    rows = read_jsonl(run / "predictions.jsonl")
    by_record = {}
    for row in rows:
        by_record.setdefault(row["id"], set()).add(row["rationale"])
    assert len(rows) == 15 and all(len(plans) == 1 for plans in by_record.values())
    shown = [prompt for prompt in codes if "Carry out this plan:" in prompt]
    assert len(shown) == 15
    without = job(tmp_path / "plain", base, records, **SAMPLED)
    one, other = (read_json(each / "queries.json") for each in (run, without))
    assert one["queries"] == other["queries"] == 15
    assert one["read_tokens"] > other["read_tokens"] and one["prompt_tokens"] > other["prompt_tokens"]


def test_a_killed_job_goes_on_where_it_was(tmp_path, base, records, monkeypatch):
    whole = read_jsonl(job(tmp_path / "whole", base, records, plan_then_code=True) / "predictions.jsonl")
    planned, plain = [], half.ask

    def ask(*arguments):
        if planned:
            raise KeyboardInterrupt
        planned.append(1)
        return plain(*arguments)

    monkeypatch.setattr(half, "ask", ask)
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "killed", base, records, plan_then_code=True)
    monkeypatch.setattr(half, "ask", plain)
    again = read_jsonl(job(tmp_path / "killed", base, records, plan_then_code=True) / "predictions.jsonl")
    assert again == whole


def test_prompts_of_plans():
    answers = TASKS["codegen"].answers
    assert answers.planning("Sort {x}.").startswith("Sort {x}.\n")
    assert answers.planned("Sort {x}.", "1. {y}").endswith("Carry out this plan:\n1. {y}")
