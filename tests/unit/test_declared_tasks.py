"""Tasks that the configuration declares: no Python, and the same way through the pipeline."""

import json
from collections import Counter
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.io.records import write_jsonl
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.settings.jobs import Asking, TrainingFileSettings
from pipestill.tasks import TASKS, content_of, find_task, task_of
from support.layout_runs import prepare, prompted, rows_of

ROOT = Path(__file__).parents[2]
TEAMS = ["billing", "bug", "praise"]
TICKETS = {
    "answers": {"kind": "labels", "labels": TEAMS},
    "inputs": ["subject", "body"],
    "data": {
        "source": "file",
        "path": "tickets.jsonl",
        "columns": {"body": "text", "target": "team"},
        "splits": {"test_rows": 6, "val_rows": 3, "teacher_share": 0.5},
    },
    "prompts": {"answer": {"text": "Which team answers?\n{subject}\n{body}"}},
}


@pytest.fixture
def config():
    """The default, with a task that it declares and a study of it."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"]["tickets"] = deepcopy(TICKETS)
    config["studies"]["tickets"] = {"task": "tickets", "student": "demo-student", "methods": ["base", "sft", "dpo"]}
    return config


def test_rows_of_a_declared_task_become_records_and_training_rows(tmp_path, config):
    rows = [{"subject": f"It is {n}", "text": f"A letter, no. {n}", "team": TEAMS[n % 3].upper()} for n in range(48)]
    data = {**TICKETS["data"], "path": str(tmp_path / "tickets.jsonl")}
    write_jsonl(tmp_path / "tickets.jsonl", rows)
    config["tasks"]["tickets"]["data"] = data
    task = check(config).task("tickets")
    records, manifest = prepare(task, tmp_path, **data)
    assert manifest["rows"] == 48
    assert Counter(record.target for record in records) == dict.fromkeys(TEAMS, 16)
    assert records[0].inputs.keys() == {"subject", "body"}
    cropped, _ = prompted(task, records, **data)
    sft, _ = rows_of(task, "sft", cropped)
    dpo, _ = rows_of(task, "dpo", cropped)
    assert {row["output"] for row in sft} == set(TEAMS)
    assert all(row["chosen"] != row["rejected"] and row["rejected"] in TEAMS for row in dpo)


def test_an_unknown_label_is_a_bad_row(tmp_path, config):
    write_jsonl(tmp_path / "tickets.jsonl", [{"subject": "A", "text": "b", "team": "sales"}])
    data = {**TICKETS["data"], "path": str(tmp_path / "tickets.jsonl")}
    with pytest.raises(UserError, match=r"the label 'sales' is none of billing, bug, praise"):
        prepare(check(config).task("tickets"), tmp_path, **data)


def test_jobs_are_told_the_declaration(config):
    plan = Plan(check(config), ROOT)
    settings = TrainingFileSettings.model_validate_json(plan.training_file_settings("tickets", "sft"))
    assert task_of(settings).answers.labels == tuple(TEAMS)
    asking = Asking.model_validate(json.loads(plan.prediction_settings("tickets", "sft"))["asking"])
    assert task_of(asking).inputs == ("subject", "body")
    assert plan.experiment("tickets", "sft").declared == settings.declared
    assert plan.declaration(SimpleNamespace(task="tickets"))[0] == "--declared"
    assert plan.declaration(SimpleNamespace(task="dolly")) == []


def test_text_has_the_metrics_that_it_names(config):
    config["tasks"]["tickets"] |= {"answers": {"kind": "text", "measure": "summaries"}, "inputs": None}
    del config["tasks"]["tickets"]["prompts"]
    config["studies"]["tickets"]["methods"] = ["base", "sft"]
    task = check(config).task("tickets")
    assert (task.inputs, task.answers.metrics[0], task.answers.max_new_tokens) == (("text",), "rouge_l", 64)
    assert task.prompts["answer"].fill({"text": "Hello"}) == "Hello"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"answers": {"kind": "tables"}}, "kind: `tables` is not defined in the kinds of answers (labels, text"),
        ({"answers": {"kind": "labels"}}, "`tasks.tickets.answers.labels` is missing"),
        ({"answers": {"kind": "labels", "labels": ["a", "a"]}}, "`a` is listed twice"),
        (
            {"answers": {"kind": "labels", "labels": ["a", "b"], "schema": 1}},
            "unknown key `tasks.tickets.answers.schema`",
        ),
        ({"answers": "labels"}, "kind: `None` is not defined"),
        ({}, "`tickets` is not defined in the tasks of this version, and `answers` does not declare it"),
        ({**TICKETS, "data": {"splits": {"test_rows": 3, "val_rows": 3}}}, "data.source: `tickets` has no generator"),
        ({**TICKETS, "inputs": ["no space"]}, '`tasks.tickets.inputs.0` is "no space"'),
        ({**TICKETS, "inputs": ["seed"]}, "inputs: `seed` is an option of `pipestill predict`"),
        (
            {**TICKETS, "prompts": {"answer": {"text": "{letter}"}}},
            "`letter` is not defined in the inputs of `tickets`",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_by_its_key(config, task, message):
    config["tasks"]["tickets"] = task
    with pytest.raises(UserError) as refused:
        check(config)
    assert message in str(refused.value)


def test_the_tasks_of_the_project_are_not_declared_again(config):
    config["tasks"]["dolly"]["answers"] = {"kind": "text"}
    with pytest.raises(UserError, match=r"tasks.dolly.answers: `dolly` is a task of the project"):
        check(config)


def test_an_unknown_task_is_named_with_those_that_there_are():
    with pytest.raises(UserError, match=r"`ticket` is no task of this version; there are: creditmix"):
        find_task("ticket")
    assert find_task("dolly") is content_of("dolly") is TASKS["dolly"]
    assert content_of("tickets").layout.raw_keys == TASKS["creditmix"].layout.raw_keys
