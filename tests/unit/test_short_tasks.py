"""Short forms of declared tasks, and what is left to their data."""

from copy import deepcopy
from pathlib import Path

import pyarrow
import pytest
import yaml
from pyarrow import parquet

from pipestill.errors import UserError
from pipestill.io.files import sha256
from pipestill.io.records import write_jsonl
from pipestill.plan.check import check
from pipestill.plan.data_checks import examine_data, report_data
from support.layout_runs import prepare, prompted, rows_of

ROOT = Path(__file__).parents[2]
TEAMS = ["Bug", "billing", "praise"]


def rows(count=60):
    return [{"subject": f"It is {n}", "body": f"A letter, no. {n}", "team": TEAMS[n % 3]} for n in range(count)]


def configuration(tmp_path, task, methods=("base", "sft"), data=None):
    """The default, with a task that is declared and a study of it; its data lie in ``tickets.jsonl``."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    write_jsonl(tmp_path / "tickets.jsonl", rows() if data is None else data)
    task = {"answers": {"kind": "labels"}, "path": str(tmp_path / "tickets.jsonl"), **deepcopy(task)}
    config["tasks"]["tickets"] = {key: value for key, value in task.items() if value is not None}
    config["studies"]["tickets"] = {"task": "tickets", "student": "demo-student", "methods": list(methods)}
    return config


TICKETS = {
    "columns": {"text": "body", "target": "team"},
    "ignored_columns": ["subject"],
    "prompt": "Which team should handle this?\n{text}",
}


def test_a_file_alone_makes_a_task(tmp_path):
    checked = check(configuration(tmp_path, TICKETS))
    task = checked.tasks["tickets"]
    assert (task.data.source, task.prompt, task.inputs) == ("file", "answer", ["text"])
    assert (task.data.splits.test_frac, task.data.splits.val_frac) == (0.2, 0.1)
    assert task.answers.labels == ["billing", "Bug", "praise"]
    said = examine_data(checked)["tickets"]
    assert "60 rows, 0 unusable, 0 repeated; splits: 21 teacher, 21 train, 6 validation, 12 test" in said
    assert check(checked.model_dump(mode="json")) == checked


def test_records_have_the_labels_and_the_wording(tmp_path):
    checked = check(configuration(tmp_path, TICKETS))
    task, data = checked.task("tickets"), checked.tasks["tickets"].data.model_dump(mode="json")
    records, _ = prepare(task, tmp_path, **data)
    assert {record.target for record in records} == set(TEAMS)
    assert checked.tasks["tickets"].prompts["answer"].fill({"text": "Hi"}) == "Which team should handle this?\nHi"


def test_inputs_are_the_gaps_of_the_wording(tmp_path):
    task = {"columns": {"target": "team"}, "prompt": "{subject}\n{body}\nWhat is `{{x}}` in {subject}?"}
    assert check(configuration(tmp_path, task)).tasks["tickets"].inputs == ["subject", "body"]


def test_sizes_and_keys_of_data_may_stand_in_either_place(tmp_path):
    task = {**TICKETS, "data": {"max_chars": 90, "splits": {"test_rows": 6}}}
    data = check(configuration(tmp_path, task)).tasks["tickets"].data
    assert (data.max_chars, data.splits.test_rows, data.splits.test_frac, data.splits.val_frac) == (90, 6, None, 0.1)


def test_labels_are_counted_in_their_commonest_spelling_and_numbers_are_labels(tmp_path):
    data = [{"text": f"Row {n}", "target": label} for n, label in enumerate(["a", "A ", "a", 1, 1, True, True, None])]
    config = configuration(tmp_path, {}, data=data)
    checked = check(config)
    assert checked.tasks["tickets"].answers.labels == ["1", "a", "true"]
    answers = checked.task("tickets").answers
    assert [answers.read(each) for each in (1, True, "A")] == ["1", "true", "a"]


def test_data_at_an_address_need_their_labels(tmp_path):
    task = {**TICKETS, "path": None, "url": "https://example.org/tickets.csv"}
    with pytest.raises(UserError, match=r"tasks.tickets.answers: there is no local file to take the labels from; list"):
        check(configuration(tmp_path, task))
    task["answers"] = {"kind": "labels", "labels": TEAMS}
    checked = check(configuration(tmp_path, task))
    assert checked.tasks["tickets"].data.source == "url"
    assert "tickets" not in examine_data(checked)


def test_parquet_at_an_address_is_checked_by_its_digest(tmp_path):
    found = [{"text": row["body"], "target": row["team"]} for row in rows()]
    parquet.write_table(pyarrow.Table.from_pylist(found), tmp_path / "x.parquet")
    url, digest = (tmp_path / "x.parquet").as_uri(), sha256(tmp_path / "x.parquet")
    answers = {"kind": "labels", "labels": TEAMS}
    checked = check(configuration(tmp_path, {"answers": answers, "path": None, "url": url, "sha256": digest}))
    options = checked.tasks["tickets"].data.model_dump(mode="json")
    records, manifest = prepare(checked.task("tickets"), tmp_path, **options)
    assert (len(records), manifest["raw"]["origin"]) == (60, url)
    with pytest.raises(UserError, match="sha256"):
        prepare(checked.task("tickets"), tmp_path, **options | {"sha256": "1" * 64})


def test_worse_answers_of_a_file_are_what_dpo_rejects(tmp_path):
    data = [{"prompt": f"Q {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(20)]
    checked = check(configuration(tmp_path, {"answers": {"kind": "text"}}, ["base", "sft", "dpo"], data))
    task, options = checked.task("tickets"), checked.tasks["tickets"].data.model_dump(mode="json")
    records, _ = prepare(task, tmp_path, **options)
    cropped, _ = prompted(task, records, **options)
    train, validation = rows_of(task, "dpo", cropped)
    assert train and validation
    assert all(row["rejected"] == row["chosen"].replace("good", "bad") for row in (*train, *validation))
    plain = [{"text": f"Q {n}", "target": f"A {n}"} for n in range(20)]
    with pytest.raises(UserError, match=r"`dpo` needs wrong answers to reject, and `tickets` has none"):
        check(configuration(tmp_path, {"answers": {"kind": "text"}}, ["base", "sft", "dpo"], plain))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({**TICKETS, "data": {"path": "other.csv"}}, "tasks.tickets: `path` stands here and in `data`; keep one"),
        (
            {**TICKETS, "prompt": "Which team?"},
            "`Which team?` is neither the name of a prompt nor a wording with a gap",
        ),
        (
            {**TICKETS, "prompts": {"answer": {"text": "{text}"}}},
            "tasks.tickets.prompt: it is a wording, and `prompts.answer` is another one",
        ),
        ({**TICKETS, "prompt": "alpaca"}, "`alpaca` is not defined in the prompts of `tickets`"),
        ({**TICKETS, "inputs": ["text"], "prompt": "{letter}"}, "`letter` is not defined in the inputs of `tickets`"),
        (
            {**TICKETS, "columns": {"txt": "body"}},
            "data.columns: `txt` is not defined in what the task reads (text, tar",
        ),
        ({**TICKETS, "pth": "x"}, "unknown key `tasks.tickets.pth`"),
        ({**TICKETS, "columns": {"target": "team"}}, "no row has what the task reads; its columns are"),
        ({"columns": {"text": "team", "target": "body"}}, "60 different labels in 60 rows seem to be none"),
    ],
)
def test_a_wrong_short_form_is_refused_by_its_key(tmp_path, task, message):
    with pytest.raises(UserError) as refused:
        check(configuration(tmp_path, task))
    assert message in str(refused.value)


def listed(**more):
    return {**TICKETS, "answers": {"kind": "labels", "labels": TEAMS}, **more}


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        (listed(path="none.csv"), None, "tasks.tickets.data: none.csv does not exist"),
        (
            listed(),
            rows()[:40] + [{"body": f"x {n}", "team": "sales"} for n in range(3)],
            "line 41: `team`: the label 'sales'",
        ),
        (listed(columns={"text": "txt", "target": "team"}), None, "`txt` that `columns` names for `text`; there are"),
        (listed(), [row for row in rows() if row["team"] != "Bug"] + rows(3), "class 'Bug' has 1 rows: too few for"),
        (listed(), [*rows(), *[{"team": "Bug"}] * 9], "`body` is missing"),
        (
            listed(columns={"target": "team", "text": "subject"}),
            [{**row, "text": "x"} for row in rows()],
            "does not read `text` (in 60 rows)",
        ),
    ],
)
def test_what_a_training_would_stumble_over_is_said_before(tmp_path, task, data, message):
    checked = check(configuration(tmp_path, task, data=data))
    with pytest.raises(UserError) as refused:
        examine_data(checked)
    assert message in str(refused.value)
    assert "tickets" in str(refused.value) or "none.csv" in str(refused.value)


def test_what_is_found_is_said_beside_what_a_run_prints(tmp_path, capsys):
    report_data(check(configuration(tmp_path, TICKETS)))
    out, err = capsys.readouterr()
    assert out == ""
    assert "tickets: " in err
