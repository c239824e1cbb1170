"""Context distillation at the tokens of answers that the teacher generates with its context."""

import pytest

from pipestill.answers.base import Said
from pipestill.errors import UserError
from pipestill.io.records import of_split, write_jsonl
from pipestill.methods import METHODS
from pipestill.models.rows import RowEncoder
from pipestill.objectives.training_file import made_rows, separated
from pipestill.plan.check import check
from pipestill.settings.contexts import TeacherContext
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import TASKS
from pipestill.teacher.distributions.contexts import read_in_context
from support.configurations import smoke
from support.layout_runs import prepare, prompted
from support.models import make_tokenizer

DOLLY = TASKS["dolly"]
DATA = {"rows": 40, "test_rows": 4, "splits": {"val_rows": 5, "teacher_share": 0.3}, "max_chars": 200}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    found, _ = prepare(DOLLY, tmp_path_factory.mktemp("dolly"), **DATA)
    return prompted(DOLLY, found, **DATA)[0]


def rows_of(records, outputs):
    prompt = DOLLY.prompts["answer"]
    context = TeacherContext(prompt=prompt, shots=2, seed=1, instruction="Be brief.")
    settings = TrainingFileSettings(task="dolly", method="cd", seed=1, rows=6, prompt=prompt, context=context)
    return separated(made_rows(DOLLY, METHODS["cd"].objective, settings, records, outputs, None))


def test_the_teachers_answers_are_learnt_and_gold_ones_are_shown(records, tmp_path):
    train, validation = rows_of(records, None)
    said = {row["id"]: vars(Said(row["id"], [f"said of {row['id']}"])) for row in train}
    taught, held_out = rows_of(records, said)
    target = {record.id: record.target for record in records}
    assert held_out == validation and all(row["output"] == target[row["id"]] for row in held_out)
    for row, gold in zip(taught, train, strict=True):
        assert row["output"] == row["answer"] == f"said of {row['id']}"
        assert row == gold | {"output": row["output"], "answer": row["output"], "gold": gold["answer"]}
        assert row["id"] not in row["demonstrations"] and len(row["demonstrations"]) == 2
    assert {row["id"] for row in taught} <= {record.id for record in of_split(records, "train")}

    files, tokenizer = [tmp_path / "train.jsonl", tmp_path / "validation.jsonl"], make_tokenizer()
    for path, rows in zip(files, (taught, held_out), strict=True):
        write_jsonl(path, rows)
    context = TeacherContext(prompt=DOLLY.prompts["answer"], shots=2, seed=1)
    read = read_in_context(files, RowEncoder(tokenizer, 256), context)[files[0]]
    for row, tokens in zip(taught, read, strict=True):
        text = tokenizer.decode(tokens["input_ids"])
        assert all(target[name] in text for name in row["demonstrations"])
        assert not any(f"said of {name}" in text for name in row["demonstrations"])


def test_labels_are_learnt_at_gold_answers():
    config = smoke()
    config["studies"]["mnli"]["overrides"]["cd"]["context"]["answers"] = "teacher"
    with pytest.raises(UserError, match="learns answers that its teacher generates, and those of `mnli` are labels"):
        check(config)
