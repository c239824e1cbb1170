"""Tasks that the package does not know go through the data stages and the plan as its own do."""

import json
from collections import Counter
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipestill.answers.labels import Labels
from pipestill.answers.text import Text
from pipestill.errors import UserError
from pipestill.io.records import of_split
from pipestill.layouts import test_sets
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.rows import Rows
from pipestill.metrics.measures import SHORT_ANSWERS
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.settings.prompts import Prompt
from pipestill.tasks import TASKS
from pipestill.tasks.base import ANSWER, UNCONDITIONED, Task
from support.layout_runs import prepare, prompted, rows_of

ROOT = Path(__file__).parents[2]
RELATIONS = ("yes", "maybe", "no")


def parse_pair(row):
    if row["relation"] not in RELATIONS:
        raise BadRow(f"unknown relation {row['relation']!r}")
    return Example({"premise": row["premise"], "hypothesis": row["hypothesis"]}, row["relation"])


def pairs(sizes, seed):
    """Rows of each role; the test sets ask about other things than the training rows."""

    def row(role, number):
        relation = RELATIONS[(number + seed) % 3]
        return {"premise": f"{role} {number} runs", "hypothesis": f"it {relation} moves", "relation": relation}

    return {role: [row(role, number) for number in range(size)] for role, size in sizes.items()}, {"made": "up"}


NLI = Task(
    name="nli",
    inputs=("premise", "hypothesis"),
    prompts={
        ANSWER: Prompt(text="{premise}\nDoes it follow that {hypothesis}?"),
        UNCONDITIONED: Prompt(text="Does it follow?"),
    },
    layout=test_sets.TestSets(("matched", "adversarial")),
    answers=Labels(RELATIONS, null_inputs=("", "N/A")),
    parse=parse_pair,
    synthetic=pairs,
)
QUESTIONS = Task(
    name="questions",
    inputs=("question",),
    prompts={ANSWER: Prompt(text="{question}")},
    layout=Rows(),
    answers=Text(5, measure=SHORT_ANSWERS),
    parse=lambda row: Example({"question": row["q"]}, row["a"][0], tuple(row["a"])),
    synthetic=lambda rows, seed: (
        [{"q": f"What is {n} plus {seed}?", "a": [str(n + seed), "a number"]} for n in range(rows)],
        {},
    ),
)
NLI_DATA = {"rows": 90, "test_rows": 12, "splits": {"val_rows": 9, "teacher_share": 0.4}, "max_chars": 30}
QUESTIONS_DATA = {"rows": 60, "seed": 3, "splits": {"test_rows": 7, "val_frac": 0.1, "teacher_share": 0.5}}


def test_labels_of_pairs_with_two_test_sets(tmp_path):
    records, manifest = prepare(NLI, tmp_path, **NLI_DATA)
    assert manifest["raw"]["made"] == "up"
    assert Counter(record.test_set for record in of_split(records, "test")) == {"matched": 12, "adversarial": 12}
    assert {record.test_set for record in records if record.split != "test"} == {None}
    sizes = {split: len(of_split(records, split)) for split in ("teacher", "train", "validation")}
    assert sizes == {"teacher": 32, "train": 49, "validation": 9}
    assert all(record.references == [record.target] for record in records)

    cropped, counts = prompted(NLI, records, **NLI_DATA)
    assert counts["premise"] == 0 < counts["hypothesis"]  # the last input is cropped first
    for record in cropped:
        assert sum(map(len, record.inputs.values())) <= 30
        assert record.prompt == f"{record.inputs['premise']}\nDoes it follow that {record.inputs['hypothesis']}?"

    sft, validation = rows_of(NLI, "sft", cropped, rows=30)
    dpo, _ = rows_of(NLI, "dpo", cropped, rows=30)
    by_id = {record.id: record for record in cropped}
    assert Counter(row["output"] for row in sft) == dict.fromkeys(RELATIONS, 10)
    assert {row["id"] for row in validation} == {record.id for record in of_split(cropped, "validation")}
    for row, pair in zip(sft, dpo, strict=True):
        assert row["id"] == pair["id"] and by_id[row["id"]].split == "train"
        assert row["input"] == pair["prompt"] == by_id[row["id"]].prompt
        assert row["output"] == pair["chosen"] != pair["rejected"]
        assert pair["rejected"] in RELATIONS


def test_text_from_one_file_without_classes(tmp_path):
    records, manifest = prepare(QUESTIONS, tmp_path, **QUESTIONS_DATA)
    assert manifest["splits"] == {"teacher": 24, "train": 23, "validation": 6, "test": 7}
    assert all(record.references == [record.target, "a number"] and record.test_set is None for record in records)
    again, _ = prepare(QUESTIONS, tmp_path / "again", **QUESTIONS_DATA)
    assert again == records
    cropped, counts = prompted(QUESTIONS, records)
    assert counts == {"question": 0, "target": 0}
    sft, validation = rows_of(QUESTIONS, "sft", cropped)
    assert Counter(row["id"] for row in sft) == Counter(record.id for record in of_split(records, "train"))
    assert len(validation) == 6
    assert rows_of(QUESTIONS, "sft", cropped, rows=5)[0] == sft[:5]


def test_a_split_that_would_be_empty_is_refused_without_speaking_of_classes(tmp_path):
    with pytest.raises(UserError, match=r"^the data have 60 rows: too few for 55 test and 6 validation rows"):
        prepare(QUESTIONS, tmp_path, **QUESTIONS_DATA | {"splits": {"test_rows": 55, "val_frac": 0.1}})


@pytest.fixture
def config(monkeypatch):
    """The default, with a study of each new task."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    study = {"student": "demo-student", "teacher": "demo-teacher", "train_rows": 30}
    for task, data, methods in ((NLI, NLI_DATA, ["base", "sft", "dpo"]), (QUESTIONS, QUESTIONS_DATA, ["sft", "kd"])):
        monkeypatch.setitem(TASKS, task.name, task)
        config["tasks"][task.name] = {"data": deepcopy(data)}
        config["studies"][task.name] = {**study, "task": task.name, "methods": methods}
    return config


def test_the_plan_of_a_new_task_is_made_of_what_it_says_of_itself(config):
    plan = Plan(check(config), ROOT)
    w = SimpleNamespace(task="nli", study="nli", method="dpo", file="dpo")
    assert json.loads(plan.raw_data(w)) == {"source": "synthetic", "rows": 90, "test_rows": 12, "seed": 1}
    assert json.loads(plan.division(w))["splits"]["val_rows"] == 9
    assert json.loads(plan.cropping(w)) == {"max_chars": 30}
    settings = json.loads(plan.training_file_settings("nli", "dpo"))
    assert (settings["task"], settings["method"], settings["rows"]) == ("nli", "dpo", 30)
    assert plan.file_outputs(w) == []
    told = json.loads(plan.training_settings("nli", "dpo"))
    assert (told["prompt"]["text"][-1], told["options"]) == ("?", {"beta": 0.1, "rejected": "random"})
    assert plan.experiment("nli", "dpo").test_sets == ["matched", "adversarial"]
    assert plan.asking("questions", "sft").max_new_tokens == 5
    assert plan.experiment("questions", "sft").test_sets == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["tasks"]["nli"]["data"].update(test_sets=["hard"]), "tasks.nli.data.test_sets: `hard` is none of"),
        (lambda c: c["tasks"]["questions"]["data"].update(test_sets=["x"]), "key `tasks.questions.data.test_sets`"),
        (lambda c: c["studies"]["questions"].update(methods=["dpo"]), "`dpo` needs wrong answers to reject"),
        (lambda c: c["studies"]["nli"].update(methods=["stepwise"]), "learns from rationales, and `nli` has none"),
        (lambda c: c["studies"]["nli"].update(methods=["lead"]), "`lead` takes sentences of documents"),
        (lambda c: c["studies"]["nli"].update(student="demo-t5-student"), "a `seq2seq` model cannot answer `nli`"),
    ],
)
def test_the_check_refuses_what_a_new_task_cannot_do(config, change, sentence):
    change(config)
    with pytest.raises(UserError) as error:
        check(config)
    assert sentence in str(error.value)
