"""Records and predictions: typed lines of JSON Lines files."""

import pytest

from pipestill.answers.generated import Generated
from pipestill.answers.labels import Ranked
from pipestill.errors import UserError
from pipestill.io.records import Record, of_split, read_jsonl, read_records, write_jsonl

BARE = Record("r1", "train", {"premise": " A  Dog ", "hypothesis": "an Animal"}, "yes", ["yes", "true"])
FULL = Record(
    "r2",
    "test",
    {"document": "long"},
    "short",
    ["short"],
    test_set="en",
    subset="long",
    prompt="Summarise:\nlong",
    rationale="since",
    group="case-1",
    meta={"line": 7},
)
UNDIVIDED = Record("r3", None, {"document": ""}, "", [])


@pytest.mark.parametrize("record", [BARE, FULL, UNDIVIDED])
def test_a_record_is_read_back_as_it_was_written(tmp_path, record):
    assert Record.of(record.row()) == record
    write_jsonl(tmp_path / "records.jsonl", [record, record])
    assert read_records(tmp_path / "records.jsonl") == [record, record]


def test_optional_fields_are_written_only_where_they_say_something():
    assert set(BARE.row()) == {"id", "split", "inputs", "target", "references", "meta"}
    assert set(FULL.row()) == set(vars(FULL))
    assert UNDIVIDED.row()["split"] is None  # which every record has


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": "yes"}, "a record has no field label; it has id, split, inputs, target"),
        ({"text": "x", "label": "yes"}, "a record has no field text, label; it has id, split"),
        ({"target": None}, "a record lacks target; it has id, split, inputs, target"),
    ],
)
def test_a_line_that_is_not_a_record_is_named_by_file_and_line(tmp_path, change, sentence):
    row = {key: value for key, value in (BARE.row() | change).items() if value is not None}
    write_jsonl(tmp_path / "records.jsonl", [BARE, row])
    with pytest.raises(UserError) as error:
        read_records(tmp_path / "records.jsonl")
    assert str(error.value).startswith(f"{tmp_path}/records.jsonl, line 2: {sentence}")
    assert str(error.value).endswith("; make the file again")


def test_a_missing_file_and_broken_lines_are_named(tmp_path):
    with pytest.raises(UserError, match=r"records\.jsonl does not exist"):
        read_records(tmp_path / "records.jsonl")
    for line, sentence in (("[]", "a JSON object is expected, not list"), ("{", "not valid JSON")):
        (tmp_path / "rows.jsonl").write_text(f'{{"id": 1}}\n{line}\n')
        with pytest.raises(UserError, match=rf"rows\.jsonl, line 2: {sentence}"):
            read_jsonl(tmp_path / "rows.jsonl")


def test_splits_are_compared_by_all_inputs_and_not_by_how_they_are_written():
    same = Record("r9", "test", {"premise": "a dog", "hypothesis": "AN\u00a0animal"}, "no", ["no"])
    assert BARE.question == same.question == "a dog an animal"
    other = Record("r9", "test", {"premise": "a dog", "hypothesis": "a plant"}, "no", ["no"])
    assert other.question != BARE.question


def test_texts_are_what_prompts_of_the_annotation_may_name():
    assert BARE.texts == {
        **{"id": "r1", "split": "train", "target": "yes"},
        **{"premise": " A  Dog ", "hypothesis": "an Animal"},
    }
    assert FULL.texts == {
        **{"id": "r2", "split": "test", "target": "short", "prompt": "Summarise:\nlong"},
        **{"document": "long", "test_set": "en", "rationale": "since"},
    }


def test_a_split_keeps_the_order_of_its_records():
    records = [Record(f"r{n}", "test" if n % 2 else "train", {}, "", []) for n in range(6)]
    assert [record.id for record in of_split(records, "test")] == ["r1", "r3", "r5"]


def test_every_field_of_a_prediction_is_written_and_read_back():
    ranked = Ranked(
        "r1", "test", None, "yes", ["yes"], {"yes": -1.0}, {"yes": 0.0}, {"yes": -1.0}, {"yes": 1.0}, 0.5, 0.9, ["yes"]
    )
    generated = Generated("r2", "test", "en", "x", ["y"], sampling_seed=None)
    assert ranked.row()["test_set"] is None and Ranked.of(ranked.row()) == ranked
    assert "subset" not in ranked.row() | generated.row() and Generated.to(FULL, "x", sampling_seed=0).subset == "long"
    assert generated.row()["sampling_seed"] is None and Generated.of(generated.row()) == generated
    with pytest.raises(UserError, match="a generated has no field label"):
        Generated.of(generated.row() | {"label": "y"})
