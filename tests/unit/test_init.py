"""`pipestill init`: a look at a file, and a configuration that fits it."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from pipestill.cli import main
from pipestill.io.records import write_jsonl
from pipestill.plan.check import check
from pipestill.plan.data_checks import examine_data
from pipestill.plan.files import read_files
from support.own_data import TEAMS, write_emails, write_pairs

ROOT = Path(__file__).parents[2]
MOST_LINES = 15


@pytest.fixture
def init(tmp_path, monkeypatch, capsys):
    """Runs the command in ``tmp_path``: gives what it says, its exit code, and what it writes."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipestill", "init", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        written = Path("my.yaml").read_text() if Path("my.yaml").exists() else ""
        return captured.out + captured.err, code or 0, written

    return run


def checked():
    return check(read_files([ROOT / "config.yaml", Path("my.yaml")]))


def lines_of(text):
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_emails_become_a_study_of_labels(init, tmp_path):
    write_emails(tmp_path / "emails.csv", 100)
    said, code, written = init("emails.csv", "--target", "Team")
    assert code == 0, said
    assert len(lines_of(written)) <= MOST_LINES
    config = checked()
    task, study = config.tasks["emails"], config.studies["emails"]
    assert task.answers.labels == sorted(TEAMS)
    assert task.data.columns == {"text": "Message", "target": "Team"}
    assert (task.data.splits.test_rows, task.data.splits.val_rows, task.data.splits.teacher_share) == (20, 10, 0.5)
    assert (study.student, study.teacher, study.methods) == (
        "demo-student",
        "demo-teacher",
        ["base", "sft", "kd", "dpo"],
    )
    assert config.run == ["emails"]
    for part in (
        "100 rows, 0 unusable, 0 repeated",
        "billing 20, bug 20",
        "tokens of demo-student: prompts",
        "students learn from 35",
        "assumed: answers are of the kind `labels`, since 100 rows have 5 different ones",
        "assumed: what is read is `Message`",
        "left out: `Ticket`",
        f"--configfile {ROOT / 'config.yaml'} my.yaml",
    ):
        assert part in said, part
    assert "100 rows" in examine_data(config)["emails"]


def test_pairs_become_a_study_of_texts(init, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", 100)
    said, code, written = init("pairs.jsonl", "--target", "title", "--text", "description")
    assert code == 0, said
    assert len(lines_of(written)) <= MOST_LINES
    config = checked()
    task = config.tasks["pairs"]
    assert config.studies["pairs"].methods == ["base", "sft", "kd"]
    assert task.prompts["answer"].text == "Write the title.\n{text}"
    assert task.answers.max_new_tokens < config.studies["pairs"].training.max_length
    assert "assumed: what is read" not in said


def test_objects_become_a_study_of_json_with_a_schema_of_its_own(init, tmp_path):
    rows = [
        {"letter": f"I am number {n}, and I like it.", "fields": {"n": n, "tags": ["a"], **({"x": 1.5} if n else {})}}
        for n in range(40)
    ]
    write_jsonl(tmp_path / "forms.jsonl", rows)
    said, code, written = init("forms.jsonl", "--target", "fields")
    assert code == 0, said
    assert len(lines_of(written)) <= MOST_LINES
    config = checked()
    task = config.tasks["forms"]
    assert task.data.columns == {"document": "letter", "json": "fields"}
    assert json.loads((tmp_path / "my.schema.json").read_text()) == {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "x": {"type": "number"},
        },
        "required": ["n", "tags"],
        "additionalProperties": False,
    }
    assert "40 rows, 0 unusable" in examine_data(config)["forms"]
    assert "dpo" in config.studies["forms"].methods


def test_rows_of_messages_need_no_target(init, tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": f"Q {n}"}, {"role": "assistant", "content": f"A {n}"}]}
        for n in range(30)
    ]
    write_jsonl(tmp_path / "chats.jsonl", rows)
    said, code, _ = init("chats.jsonl", "--teacher", "none")
    assert code == 0, said
    assert "assumed: rows are messages of a chat" in said
    config = checked()
    assert config.studies["chats"].teacher is None
    assert config.tasks["chats"].data.splits.teacher_share == 0
    assert "30 rows, 0 unusable" in examine_data(config)["chats"]


def test_preferences_are_what_dpo_learns_from(init, tmp_path):
    rows = [{"prompt": f"Q {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(30)]
    write_jsonl(tmp_path / "pairs.jsonl", rows)
    said, code, _ = init("pairs.jsonl")
    assert code == 0, said
    assert checked().studies["pairs"].methods == ["base", "sft", "kd", "dpo"]


def test_several_texts_are_inputs_of_their_own_names(init, tmp_path):
    rows = [
        {"Subject Line": f"This is the subject {n}", "2nd": f"A longer text, no. {n}", "label": "ab"[n % 2]}
        for n in range(60)
    ]
    write_jsonl(tmp_path / "My Mails.jsonl", rows)
    said, code, _ = init("My Mails.jsonl", "--target", "label")
    assert code == 0, said
    task = checked().tasks["my-mails"]
    assert task.inputs == ["subject_line", "text_2nd"]
    assert task.data.columns == {"subject_line": "Subject Line", "text_2nd": "2nd", "target": "label"}


def test_words_that_yaml_reads_otherwise_are_quoted(init, tmp_path):
    rows = [{"text": f"Is {n} a number: {{n}} #?", "target": ["yes", "no", 1, True][n % 4]} for n in range(80)]
    write_jsonl(tmp_path / "x.jsonl", rows)
    said, code, _ = init("x.jsonl", "--target", "target")
    assert code == 0, said
    assert checked().tasks["x"].answers.labels == ["1", "no", "true", "yes"]
    assert "columns" not in yaml.safe_load(Path("my.yaml").read_text())["tasks"]["x"]


def test_a_directory_or_a_repository_is_a_student(init, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", 40)
    student = ROOT / "resources" / "models" / "demo-t5-student"
    said, code, written = init("pairs.jsonl", "--target", "title", "--student", student)
    assert code == 0, said
    assert len(lines_of(written)) <= MOST_LINES
    assert checked().models["demo-t5-student"].kind == "seq2seq"
    hub = f"Qwen/Qwen2.5-0.5B-Instruct@{'7' * 40}"
    said, code, written = init("pairs.jsonl", "--target", "title", "--student", hub, "--force")
    assert code == 0, said
    assert len(lines_of(written)) <= MOST_LINES
    assert checked().models["qwen2.5-0.5b-instruct"].repo == "Qwen/Qwen2.5-0.5B-Instruct"
    assert "tokens (guessed by characters)" in said


def test_rare_long_rows_do_not_decide_how_much_is_read(init, tmp_path):
    rows = [{"text": f"A short text, {n}", "target": f"t{n}"} for n in range(300)]
    rows[7] = {"text": "word " * 3000, "target": "t"}
    write_jsonl(tmp_path / "x.jsonl", rows)
    said, code, _ = init("x.jsonl", "--target", "target")
    assert code == 0, said
    assert "`max_length` 96 holds all but 1, which lose their end" in said
    assert checked().tasks["x"].data.max_chars == 15000
    rows[7] = {"text": "short", "target": "word " * 3000}
    write_jsonl(tmp_path / "x.jsonl", rows)
    said, code, written = init("x.jsonl", "--target", "target", "--force")
    assert code == 0, said
    study = checked().studies["x"]
    assert (study.training.max_length, study.overrides["teacher"].max_length) == (1024, 1024)
    assert study.on_long_answer == "crop"
    assert len(lines_of(written)) <= MOST_LINES


def test_nothing_is_written_over(init, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", 40)
    (tmp_path / "my.yaml").write_text("mine: 1\n")
    said, code, written = init("pairs.jsonl", "--target", "title")
    assert (code, written) == (1, "mine: 1\n")
    assert "my.yaml is there already: give another --output, or --force" in said
    assert init("pairs.jsonl", "--target", "title", "--force")[1] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.csv",), "none.csv does not exist"),
        (("x.jsonl",), "say by --target which column of x.jsonl is the answer; there are: `text`, `team`, `number`"),
        (("x.jsonl", "--target", "teem"), "x.jsonl has no column `teem`; there are: `text`, `team`"),
        (("x.jsonl", "--target", "team", "--text", "txt"), "x.jsonl has no column `txt`"),
        (("x.jsonl", "--target", "team", "--text", "team"), "`team` is both read and answered"),
        (("x.jsonl", "--target", "team", "--kind", "labels"), "label 'rare' has 1 usable rows, and 5 are needed"),
        (("x.jsonl", "--target", "number", "--kind", "text"), "`number` is not text"),
        (("x.jsonl", "--target", "team", "--name", "dolly"), "`dolly` is a task or study of"),
        (("x.jsonl", "--target", "team", "--student", "nobody"), "`nobody` is no model: name a key of `models` (demo"),
    ],
)
def test_what_does_not_do_is_refused(init, tmp_path, arguments, message):
    rows = [{"text": f"A text that is long, {n}", "team": "ab"[n % 2], "number": n} for n in range(40)]
    write_jsonl(tmp_path / "x.jsonl", [*rows, {"text": "One more text", "team": "rare", "number": 1}])
    said, code, written = init(*arguments)
    assert (code, written) == (1, "")
    assert message in said
