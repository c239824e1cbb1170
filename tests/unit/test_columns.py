"""Columns of raw files: found, named, or refused, and tables in every dress."""

import json
from pathlib import Path

import pytest

from pipestill.errors import UserError
from pipestill.io.records import of_split
from pipestill.layouts.cases import case_key
from pipestill.layouts.example import BadRow
from pipestill.layouts.pairs import read_pairs
from pipestill.layouts.reading import read_examples
from pipestill.tasks import TASKS
from support.layout_runs import prepare

DOLLY, MULTICLINSUM, CREDITMIX = TASKS["dolly"], TASKS["multiclinsum"], TASKS["creditmix"]
SAID = {"instruction": "Who won game {}?", "input": "", "output": "Team"}


def options(**more):
    return DOLLY.layout.Options.model_validate({"splits": {"val_rows": 1}, **more})


def check(task, rows, **more):
    """Read ``rows`` of ``task``, and check what they have."""
    numbered = [(n, json.loads(json.dumps(row).replace("{}", str(n)))) for n, row in enumerate(rows, 1)]
    read = options(**more)
    reading = read_examples(task, numbered, columns=read.columns)
    reading.check(read, "x.jsonl")
    return reading


FOREIGN = {
    "context": "Team 0 won.",
    "system": "Be brief.",
    "history": [["a", "b"]],
    "messages": [{"role": "user", "content": "x"}],
    "Response": "Team",
    " LABEL ": "yes",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_column_with_what_another_format_reads_is_refused_and_the_key_is_named(name):
    row = SAID | {name: FOREIGN[name]}
    with pytest.raises(UserError) as error:
        check(DOLLY, [row, SAID, row])
    for part in (
        f"x.jsonl: the task does not read `{name}` (in 2 rows)",
        f"set `columns: {{<name>: {name}}}`",
        "under `ignored_columns`",
    ):
        assert part in str(error.value)
    assert check(DOLLY, [row], ignored_columns=[name]).columns.unread == {name: 1}


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, 3, True])
def test_a_column_that_says_nothing_to_a_model_is_not_refused(value):
    assert len(check(DOLLY, [SAID | {"context": value}]).records) == 1


def test_other_columns_that_nobody_reads_are_said_once_with_their_count(capsys):
    rows = [SAID | {"category": "open_qa", "score": 3, "empty": ""}] * 5 + [SAID | {"category": "qa"}]
    check(DOLLY, rows)
    assert capsys.readouterr().out == "x.jsonl: nobody reads `category` (6 rows), `score` (5 rows)\n"
    check(DOLLY, rows, ignored_columns=["category", "score"])
    assert capsys.readouterr().out == ""


def test_columns_are_read_under_the_names_that_the_configuration_gives():
    row = {"instruction": "Who won game {}?", "context": "Team won.", "réponse": "Team", "category": "qa"}
    reading = check(DOLLY, [row], columns={"input": "context", "output": "re\u0301ponse"})
    assert reading.records[0].inputs == {"instruction": "Who won game 1?", "input": "Team won."}
    assert reading.records[0].target == "Team"
    with pytest.raises(UserError, match="no row has the column `contxt` that `columns` names for `input`; there are"):
        check(DOLLY, [row], columns={"input": "contxt"})


def test_a_column_in_other_capitals_is_found_and_an_exact_one_is_preferred():
    assert check(DOLLY, [{"Instruction": "Q{}", " OUTPUT ": "a"}]).records[0].target == "a"
    row = {"instruction": "Q{}", "output": "a", "Output": "b"}
    with pytest.raises(UserError, match=r"does not read `Output` \(in 1 rows\)"):
        check(DOLLY, [row])


def test_a_file_of_another_format_is_refused_with_what_it_has_and_what_is_read():
    rows = [{"instruction": "Q{}", "context": "", "response": "a", "category": "qa"}] * 3
    with pytest.raises(UserError) as error:
        check(DOLLY, rows)
    for part in (
        "3 of 3 rows are unusable",
        "no answer",
        "`response`",
        "reads `prompt`, `instruction`, `input`, `output`",
    ):
        assert part in str(error.value)
    with pytest.raises(UserError, match="its columns are `text`, `label`, and the task reads `question`, `answer`"):
        check(CREDITMIX, [{"text": "Age: {}", "label": "Good"}])
    chat = {"conversations": [{"from": "human", "value": "Q"}]}
    with pytest.raises(UserError, match="its columns are `conversations`, and the task reads"):
        check(DOLLY, [chat])


def test_a_prompt_beside_its_instruction_says_nothing_else():
    row = {"instruction": "Count  them.", "input": "a, b", "output": "2"}
    assert check(DOLLY, [row | {"prompt": "Below.\n\nCount them.\n\na, b"}]).bad == []
    (bad,) = read_examples(DOLLY, [(1, row | {"prompt": "Sum them up."})]).bad
    assert bad["reason"] == "`prompt` does not hold its instruction and input"


def test_two_names_of_one_text_may_not_differ():
    row = {"input": "a long report", "output": "short"}
    assert check(MULTICLINSUM, [row | {"text": "a long report"}]).bad == []
    (bad,) = read_examples(MULTICLINSUM, [(1, row | {"fulltext": "another report"})]).bad
    assert bad["reason"] == "`input` and `fulltext` are different texts"


def table(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return [(line, str(row) if isinstance(row, BadRow) else row) for line, row in read_pairs(path)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("said", ["", "sep={}\n", "\ufeff"])
def test_tables_are_read_with_any_separator(tmp_path, separator, end, said):
    rows = [("Input", "Output", "x,y;z|w\tv"), ("a, b; c | d", "s", ""), ("line\nline", 'say ""x""', "1")]
    text = end.join(separator.join(f'"{field}"' for field in row) for row in rows)
    found = table(tmp_path / "x.csv", f"{said.format(separator)}{text}{end}{end}")
    if said.startswith("sep"):
        found = [(line - 1, row) for line, row in found]
    assert found == [
        (2, {"Input": "a, b; c | d", "Output": "s", "x,y;z|w\tv": ""}),
        (3, {"Input": "line\nline", "Output": 'say "x"', "x,y;z|w\tv": "1"}),
    ]


def test_tables_that_cannot_be_read_are_refused_by_file_and_line(tmp_path):
    for text, encoding, sentence in (
        ('a,b\n1,2\n"open,3\n4,5\n', "utf-8", r"x\.csv, line 3: not valid CSV \(unexpected end of data\); close each"),
        ('a,b\n1,"x"y\n', "utf-8", r"x\.csv, line 2: not valid CSV"),
        ("a,b,a\n1,2,3\n", "utf-8", r"x\.csv: 2 columns are called `a`: rename all but one"),
        ("a,b\n1,é\n", "latin-1", r"x\.csv is not UTF-8 text \(line 2, byte 6\)"),
        ("a,b\n1,é\n", "utf-16", r"x\.csv is UTF-16 or binary"),
        ("\n\n", "utf-8", r"x\.csv is empty"),
    ):
        with pytest.raises(UserError, match=sentence):
            table(tmp_path / "x.csv", text, encoding)


def divided(tmp_path, text, name="mine.csv", **more):
    (tmp_path / name).write_text(text, newline="")
    splits = {"test_frac": 0.25, "val_frac": 0.25, "teacher_share": 0.0}
    given = {"source": "files", "files": {"mine": {"path": str(tmp_path / name)}}, "splits": splits, **more}
    return prepare(MULTICLINSUM, tmp_path, **given)


def test_a_spreadsheet_s_table_with_capitals_is_read(tmp_path):
    lines = [f"A {30 + n}-year-old man came with a cough;Cough, better.;EN" for n in range(8)]
    records, _ = divided(tmp_path, "Input;Output;Language\r\n" + "\r\n".join(lines))
    assert len(records) == 8
    assert {record.test_set for record in records} == {"en"}


def test_a_nul_byte_costs_a_row(tmp_path):
    lines = [f"A {30 + n}-year-old man came{chr(0) if n == 2 else ''},Cough" for n in range(8)]
    records, manifest = divided(tmp_path, "input,output\n" + "\n".join(lines), max_bad_share=0.2)
    assert len(records) == 7
    assert manifest["files"]["mine"]["bad_rows_listed"] == [{"line": 4, "reason": "a NUL character"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("001", "1"),
        ("1.0", "1"),
        (1, "01"),
        ("gs_007", "gs_7"),
        ("Case 5", "case\u00a05"),
        ("x-0-3", "X-00-03"),
        (2.0, 2),
    ],
)
def test_a_case_is_the_same_whatever_its_number_is_written_like(tmp_path, one, other):
    assert case_key(str(one)) == case_key(str(other))
    rows = [{"input": f"report {n} en", "output": "s", "case": f"k{n}"} for n in range(30)]
    rows += [{"input": f"informe {n} es", "output": "s", "language": "es", "case": f"k{n}"} for n in range(30)]
    rows += [{"input": "one report", "output": "s", "case": one}, {"input": "un informe", "output": "s", "case": other}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    records, manifest = divided(tmp_path, text, "mine.jsonl", max_bad_share=0.0)
    assert manifest["cases"] == 31
    for split in ("train", "validation", "test"):
        assert {case_key(r.group) for r in of_split(records, split)}.isdisjoint(
            {case_key(r.group) for r in records if r.split != split}
        )


def test_other_cases_stay_apart():
    assert len({case_key(name) for name in ("1", "10", "100", "1.5", "a1", "a", "0", "")}) == 8


def test_a_case_of_a_test_file_is_not_trained_on_in_another_spelling(tmp_path):
    for name, case in (("train", "{:03}"), ("test", "{}"), ("validation", "v{}")):
        rows = [{"input": f"{name} {n}", "output": "s", "case": case.format(n)} for n in range(5, 15)]
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows[: 5 if name == "test" else 10])
        )
    files = {name: {"path": str(tmp_path / f"{name}.jsonl")} for name in ("train", "validation", "test")}
    records, _ = prepare(MULTICLINSUM, tmp_path, source="files", files=files, splits={"teacher_share": 0.0})
    assert [r.group for r in of_split(records, "train")] == [f"{n:03}" for n in range(10, 15)]


def test_the_published_readers_find_their_own_rows_without_a_word(tmp_path, capsys):
    splits = {"test_frac": 0.2, "val_frac": 0.1}
    prepare(MULTICLINSUM, tmp_path / "m", rows=60, splits=splits)
    prepare(CREDITMIX, tmp_path / "c", rows=200, splits={"test_rows": 15, "val_rows": 15})
    assert "nobody reads" not in capsys.readouterr().out
    assert Path(tmp_path / "m" / "records.jsonl").is_file()
