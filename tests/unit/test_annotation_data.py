"""What a local annotator is trained on."""

import pytest

from pipestill.annotation.annotator_data import write_annotator_data
from pipestill.errors import UserError
from pipestill.io.records import Record, read_jsonl, write_jsonl
from support.annotation import ASK


def write(path, records):
    write_jsonl(path, records)
    return path


def record(number, split="teacher", rationale="truth"):
    inputs, target = {"document": f"text {number}"}, "summary"
    return Record(f"{split}{number}", split, inputs, target, [target], rationale=rationale and f"{rationale} {number}")


def test_only_the_teacher_split_is_learned_from(tmp_path):
    rows = [record(number, split) for number in range(20) for split in ("teacher", "train", "validation", "test")]
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    write_annotator_data({"rationale": ASK}, write(tmp_path / "records.jsonl", rows), train, validation)
    assert [row["id"] for row in read_jsonl(validation)] == ["teacher0", "teacher10"]
    assert [row["id"] for row in read_jsonl(train)] == [f"teacher{n}" for n in range(20) if n % 10]
    assert read_jsonl(train)[0] == {"id": "teacher1", "input": ASK.format(document="text 1"), "output": "truth 1"}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([record(number) for number in range(9)], "has 9 records of the teacher split"),
        ([record(number, "train") for number in range(50)], "has 0 records of the teacher split"),
        ([record(0, rationale=None)], "record teacher0 of the teacher split has no `rationale`"),
    ],
)
def test_what_cannot_be_learned_from_is_an_error_of_the_user(tmp_path, rows, sentence):
    records = write(tmp_path / "records.jsonl", rows)
    with pytest.raises(UserError, match=sentence):
        write_annotator_data({"rationale": ASK}, records, tmp_path / "train.jsonl", tmp_path / "validation.jsonl")
    assert not (tmp_path / "train.jsonl").exists()


def test_answers_are_learned_beside_rationales_where_they_are_asked_for(tmp_path):
    questions = {"rationale": ASK, "answer": "Sum up, given {rationale}: {document}"}
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    records = write(tmp_path / "records.jsonl", [record(number) for number in range(10)])
    write_annotator_data(questions, records, train, validation)
    rationale, answer = read_jsonl(validation)
    assert rationale == {"id": "teacher0", "input": ASK.format(document="text 0"), "output": "truth 0"}
    assert answer == {"id": "teacher0", "input": "Sum up, given truth 0: text 0", "output": "summary"}
    assert len(read_jsonl(train)) == 2 * 9
