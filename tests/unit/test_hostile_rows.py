"""A hostile row is a bad row like others: named by file and line, never a traceback, wherever JSON is read."""

import json

import pytest

from pipestill.answers.generated.answered import read_answers
from pipestill.answers.labels.predictions import read_predictions
from pipestill.errors import UserError
from pipestill.io.files import read_json, write_json
from pipestill.io.parsing import BadJson, parse_json
from pipestill.io.records import iterate_jsonl, read_records, write_jsonl
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.raw import read_rows
from pipestill.layouts.reading import read_examples
from pipestill.tasks import TASKS
from support.layout_runs import prepare

UNUSABLE = {
    r'{"a": "\ud800"}': "half a character",
    r'{"a": ["x", "\udc00\ud800"]}': "half a character",
    r'{"\uD83D": 1}': "half a character",
    '{"a": ' + "9" * 5000 + "}": "a number of 5000 digits",
    '{"a": -' + "9" * 400 + "}": "a number of 401 digits",
    '{"a": 1e999}': "a number that is too large (1e999)",
    '{"a": NaN}': "NaN in place of a number",
    '{"a": [-Infinity]}': "-Infinity in place of a number",
    '{"a": ' + "[" * 101 + "]" * 101 + "}": "more than 100 lists or objects in each other",
    '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}": "more than 100 lists or objects in each other",
    '{"a": ' * 5000 + "1" + "}" * 5000: "more than 100 lists or objects in each other",
    '{"a": 1, "b": {"c": 1, "c": 1}}': "the key `c` twice",
}
USABLE = [r'{"a": "\ud83d\ude00 \\ud800"}', '{"a": [[1.5e300, 12345678901234567890]]}', '{"a": ' + "[],[]," * 0 + "[]}"]


@pytest.mark.parametrize("text", UNUSABLE, ids=list(UNUSABLE.values()))
def test_what_cannot_be_kept_or_compared_is_not_json_in_any_file(tmp_path, text):
    reason = UNUSABLE[text]
    with pytest.raises(BadJson) as error:
        parse_json(text)
    assert reason in str(error.value)
    (tmp_path / "x.json").write_text(f"[{text}]")
    with pytest.raises(UserError) as error:
        read_json(tmp_path / "x.json")
    assert str(error.value).startswith(f"{tmp_path}/x.json: not valid JSON (")
    (tmp_path / "x.jsonl").write_text(f'{{"a": 1}}\n{text}\n')
    with pytest.raises(UserError) as error:
        list(iterate_jsonl(tmp_path / "x.jsonl"))
    assert str(error.value).startswith(f"{tmp_path}/x.jsonl, line 2: not valid JSON (")


@pytest.mark.parametrize("text", UNUSABLE, ids=list(UNUSABLE.values()))
@pytest.mark.parametrize("form", ["{}\n{}\n{}", "[\n{},\n{},\n{}\n]"])
def test_one_such_row_costs_one_row_of_raw_data(tmp_path, form, text):
    (tmp_path / "data.json").write_text(form.format('{"b": 1}', text, '{"b": {"c": [2]}}'))
    (_, one), (line, bad), (_, two) = read_rows(tmp_path / "data.json")
    assert (one, two) == ({"b": 1}, {"b": {"c": [2]}})
    assert isinstance(bad, BadRow)
    assert UNUSABLE[text] in str(bad)
    assert line == (3 if form.startswith("[") else 2)


@pytest.mark.parametrize("text", USABLE)
def test_what_only_looks_hostile_is_read_as_it_is(tmp_path, text):
    assert parse_json(f" {text}\r\n") == json.loads(text)
    (tmp_path / "data.json").write_text(f"[{text}, {text}]")
    assert [row for _, row in read_rows(tmp_path / "data.json")] == [json.loads(text)] * 2


def test_a_byte_order_mark_of_joined_files_is_no_fault(tmp_path):
    (tmp_path / "x.jsonl").write_text('\ufeff{"a": 1}\n\ufeff{"a": 2}\n', encoding="utf-8")
    assert [row for _, row in read_rows(tmp_path / "x.jsonl")] == [{"a": 1}, {"a": 2}]


def test_bytes_that_are_no_text_are_named_by_line(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": "\xe9"}\n')
    with pytest.raises(UserError, match=r"x\.jsonl, line 2: not UTF-8 text"):
        list(iterate_jsonl(tmp_path / "x.jsonl"))
    for encoding, sentence in (
        ("latin-1", r"x\.json is not UTF-8 text \(line 2, byte 8\), but perhaps Latin-1: save it as UTF-8"),
        ("utf-16", "is UTF-16 or binary, not UTF-8 text"),
        ("utf-16-le", "is UTF-16 or binary, not UTF-8 text"),
        ("utf-32-be", "is UTF-16 or binary, not UTF-8 text"),
    ):
        (tmp_path / "x.json").write_text('["a",\n "é"]\n', encoding=encoding)
        with pytest.raises(UserError, match=sentence):
            read_json(tmp_path / "x.json")
    with pytest.raises(UserError, match="is a directory: name a file"):
        read_json(tmp_path)


GOOD = {"creditmix": {"question": "Age: {}", "answer": "Good"}, "dolly": {"instruction": "Q {}?", "output": "yes"}}
GOOD["multiclinsum"] = {"input": "a long report {}", "output": "short"}
VALUES = [None, "", " \u200b\u00a0", 5, 1.5, True, [], ["x"], {"x": "y"}, [["x"]], "a\0b"]


@pytest.mark.parametrize("task", GOOD)
@pytest.mark.parametrize("value", VALUES, ids=[repr(value) for value in VALUES])
def test_a_value_that_is_no_text_is_a_bad_row_in_every_column_of_every_task(task, value):
    for key in GOOD[task]:
        rows = [(1, GOOD[task] | {key: value}), (2, GOOD[task])]
        reading = read_examples(TASKS[task], rows)
        expected = 0 if (task, key, value) == ("dolly", "output", ["x"]) else 1
        assert [row["line"] for row in reading.bad] == [1] * expected, key
        assert all(len(row["reason"]) < 100 for row in reading.bad)


class Careless:
    """A task whose rows are read without a look at what they hold, as a task of one's own may do it."""

    name = "careless"

    def parse(self, row):
        return Example({"premise": row["premise"].lower(), "hypothesis": row["hypothesis"]}, {"a": "b"}[row["label"]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"premise": 5}, "not a row of this task ('int' object has no attribute 'lower')"),
        ({"hypothesis": ["x"]}, "a number, a list or an object where text is expected"),
        ({"label": ["a"]}, "not a row of this task (unhashable type: 'list')"),
        ({"label": "z"}, "`z` is missing"),
        ({"premise": " ", "hypothesis": "\ufeff"}, "empty text"),
    ],
)
def test_a_task_of_one_s_own_needs_no_care(change, reason):
    row = {"premise": "x", "hypothesis": "y", "label": "a"}
    assert read_examples(Careless(), [(1, row)]).bad == []
    assert read_examples(Careless(), [(1, row | change)]).bad == [{"line": 1, "reason": reason}]
    del row["hypothesis"]
    assert read_examples(Careless(), [(1, row)]).bad == [{"line": 1, "reason": "`hypothesis` is missing"}]


def test_hostile_rows_are_counted_and_too_many_stop_with_their_lines(tmp_path):
    lines = [json.dumps({"question": f"Age: {n}", "answer": ("Good", "Bad", "Standard")[n % 3]}) for n in range(60)]
    lines[4:4] = list(UNUSABLE)
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    options = {"source": "file", "path": str(tmp_path / "x.jsonl"), "splits": {"test_rows": 3, "val_rows": 3}}
    records, manifest = prepare(TASKS["creditmix"], tmp_path, **options, max_bad_share=0.5)
    assert (len(records), manifest["bad_rows"]) == (60, len(UNUSABLE))
    with pytest.raises(UserError, match=r"x\.jsonl: 12 of 72 rows are unusable.*\(line 5: broken JSON \(half a char"):
        prepare(TASKS["creditmix"], tmp_path / "again", **options)


RECORD = {"id": "a", "split": "test", "inputs": {"x": "y"}, "target": "t", "references": ["t"]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inputs": "text"}, "`inputs` of a record: input should be a valid dictionary"),
        ({"inputs": {"x": ["y"]}}, "`inputs.x` of a record: input should be a valid string"),
        ({"references": "t"}, "`references` of a record: input should be a valid list"),
        ({"references": ["t", 3]}, "`references.1` of a record: input should be a valid string"),
        ({"split": "dev"}, "`split` of a record: input should be 'teacher', 'train', 'validation' or 'test'"),
        ({"target": 5}, "`target` of a record: input should be a valid string"),
        ({"id": ["a"]}, "`id` of a record: input should be a valid string"),
    ],
)
def test_a_record_of_other_types_is_refused_by_line_and_field(tmp_path, change, sentence):
    write_jsonl(tmp_path / "records.jsonl", [RECORD, RECORD | change])
    with pytest.raises(UserError) as error:
        read_records(tmp_path / "records.jsonl")
    assert str(error.value) == f"{tmp_path}/records.jsonl, line 2: {sentence}; make the file again"


SAID = {"id": "a", "split": "test", "test_set": None, "prediction": "Good", "references": ["Good"]}
RANKED = SAID | {"raw_scores": {"Good": 0.0, "Bad": -1.0}, "label_mass": 1.0, "greedy": ["Good"]}


@pytest.mark.parametrize(
    "change", [{"id": ["a"]}, {"id": 5}, {"test_set": ["x"]}, {"prediction": {"a": 1}}, {"references": "Good"}]
)
def test_predictions_of_other_types_are_refused_by_line(tmp_path, change):
    path = tmp_path / "predictions.jsonl"
    for row, read in (
        (RANKED, lambda: read_predictions(path, ["Good", "Bad"], [])),
        (SAID | {"sampling_seed": None}, lambda: read_answers(path, [])),
    ):
        write_jsonl(path, [row])
        read()
        write_jsonl(path, [row, row | change])
        with pytest.raises(UserError, match=r"predictions\.jsonl, line 2: "):
            read()


def test_large_numbers_of_predictions_are_compared_and_not_a_fault(tmp_path):
    write_jsonl(tmp_path / "predictions.jsonl", [RANKED | {"raw_scores": {"Good": 10**200, "Bad": 0}}])
    assert read_predictions(tmp_path / "predictions.jsonl", ["Good", "Bad"], []).raw_scores.shape == (1, 2)


def test_what_is_written_is_read_back(tmp_path):
    value = {"a": ["\U0001f600\u2028\ufeff", 10**30, -1.5e-300, {"b": None}]}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
