"""From several files to records and training files, in a task with test sets."""

import hashlib
import json
import re
from collections import Counter

import pytest

from pipestill.errors import UserError
from pipestill.io.records import of_split
from pipestill.tasks import TASKS
from support.layout_runs import prepare, prompted, rows_of

DOLLY = TASKS["dolly"]
NAMES = DOLLY.layout.names
SPLITS = {"val_rows": 5, "teacher_share": 0.5}


def row(number, output="yes", **others):
    return {"instruction": f"Question {number}?", "input": "", "output": output, **others}


def write(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {"path": str(path)}


@pytest.fixture
def files(tmp_path):
    """Local files of every role: 40 training rows, and 4 rows of each test set."""
    found = {"train": write(tmp_path / "train.jsonl", [row(n) for n in range(40)])}
    for start, name in enumerate(NAMES, 1):
        found[name] = write(tmp_path / f"{name}.jsonl", [row(100 * start + n, ["a", "b"]) for n in range(4)])
    return found


def divided(files, directory, splits=SPLITS, max_bad_share=0.05, **data):
    """Records and manifest of local files."""
    return prepare(DOLLY, directory, source="files", files=files, splits=splits, max_bad_share=max_bad_share, **data)


def numbers(records):
    return [int(re.search(r"\d+", record.inputs["instruction"])[0]) for record in records]


def test_files_by_role_become_splits_and_test_sets(files, tmp_path):
    records, manifest = divided(files, tmp_path)
    assert {name: sum(r.test_set == name for r in of_split(records, "test")) for name in NAMES} == (
        dict.fromkeys(NAMES, 4)
    )
    sizes = {split: len(of_split(records, split)) for split in ("teacher", "train", "validation")}
    assert sizes == {"teacher": 18, "train": 17, "validation": 5}
    assert all(r.test_set is None for r in records if r.split != "test")
    assert all((r.target, r.references) == ("a", ["a", "b"]) for r in of_split(records, "test"))
    assert len({r.id for r in records}) == len(records) == 60
    assert manifest["splits"] == {**sizes, "test": dict.fromkeys(sorted(NAMES), 4)}
    raw = manifest["raw"]["files"]["vicuna"]
    content = (tmp_path / "vicuna.jsonl").read_bytes()
    assert raw == {
        "origin": files["vicuna"]["path"],
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_the_published_split_takes_the_first_rows_for_validation(files, tmp_path):
    first, _ = divided(files, tmp_path, dict(val_rows=7, val_draw="first", teacher_share=0))
    assert numbers(of_split(first, "validation")) == list(range(7))
    assert len(of_split(first, "train")) == 33
    drawn, _ = divided(files, tmp_path, dict(val_rows=7, teacher_share=0))
    assert numbers(of_split(drawn, "validation")) != list(range(7))
    again, _ = divided(files, tmp_path, dict(val_rows=7, teacher_share=0))
    assert again == drawn


def test_a_validation_file_takes_the_place_of_a_draw(files, tmp_path):
    files["validation"] = write(tmp_path / "validation.jsonl", [row(900), row(901)])
    records, _ = divided(files, tmp_path, dict(teacher_share=0))
    assert numbers(of_split(records, "validation")) == [900, 901]
    assert len(of_split(records, "train")) == 40


def test_what_a_test_set_asks_is_not_trained_on(files, tmp_path):
    write(tmp_path / "vicuna.jsonl", [row(3), {"prompt": "QUESTION  4?", "output": "no"}])
    files["validation"] = write(tmp_path / "validation.jsonl", [row(3), row(5), row(900)])
    records, manifest = divided(files, tmp_path, dict(teacher_share=0))
    assert not {3, 4, 5} & set(numbers(of_split(records, "train")))
    assert numbers(of_split(records, "validation")) == [5, 900]
    dropped = {role: reading["rows_of_other_splits"] for role, reading in manifest["files"].items()}
    assert dropped == {**dict.fromkeys(NAMES, 0), "validation": 1, "train": 3}


def test_test_sets_may_share_a_question_but_no_set_repeats_one(files, tmp_path):
    write(tmp_path / "vicuna.jsonl", [row(100), row(100, "other"), row(300)])
    records, manifest = divided(files, tmp_path)
    same = [r for r in of_split(records, "test") if r.inputs["instruction"] == "Question 100?"]
    assert [r.test_set for r in same] == ["dolly", "vicuna"]
    assert len({r.id for r in same}) == 2
    assert manifest["files"]["vicuna"]["repeated_rows"] == 1
    assert manifest["files"]["vicuna"]["repeated_with_another_target"] == 1


def test_a_limit_takes_the_first_rows_of_a_file(files, tmp_path):
    files["uinst"]["limit"] = 3
    records, manifest = divided(files, tmp_path)
    assert numbers([r for r in records if r.test_set == "uinst"]) == [500, 501, 502]
    assert manifest["files"]["uinst"]["rows"] == 3


def test_fewer_test_sets_need_fewer_files(files, tmp_path):
    chosen = {role: files[role] for role in ("train", "dolly", "sinst")}
    records, _ = divided(chosen, tmp_path, test_sets=["sinst", "dolly"])
    assert {r.test_set for r in of_split(records, "test")} == {"dolly", "sinst"}


def test_rows_without_an_answer_are_listed_by_file_and_line(files, tmp_path):
    write(tmp_path / "sinst.jsonl", [row(200), row(201, [""]), row(202, ["", "c"]), row(203, "")])
    records, manifest = divided(files, tmp_path, max_bad_share=0.5)
    assert manifest["files"]["sinst"]["bad_rows_listed"] == [
        {"line": 2, "reason": "no answer"},
        {"line": 4, "reason": "no answer"},
    ]
    assert [r.target for r in records if r.test_set == "sinst"] == ["yes", "c"]
    with pytest.raises(UserError, match=r"sinst.jsonl: 2 of 4 rows are unusable.*line 2: no answer"):
        divided(files, tmp_path, max_bad_share=0.4)


def test_a_file_of_which_nothing_is_left_is_refused(files, tmp_path):
    write(tmp_path / "sinst.jsonl", [row(200, "")])
    with pytest.raises(UserError, match="sinst: none of 1 rows is left: 1 are unusable, 0 are none of"):
        divided(files, tmp_path, max_bad_share=1)


@pytest.mark.parametrize(
    ("val_rows", "teacher_share", "sentence"),
    [
        (40, 0.0, "40 usable rows: too few for 40 validation rows"),
        (38, 0.1, "of 2 training rows 0 are left to train the teacher and 2 to train students"),
        (38, 0.9, "of 2 training rows 2 are left to train the teacher and 0 to train students"),
    ],
)
def test_no_split_is_left_without_rows(files, tmp_path, val_rows, teacher_share, sentence):
    with pytest.raises(UserError, match=sentence):
        divided(files, tmp_path, dict(val_rows=val_rows, teacher_share=teacher_share))


def test_each_file_has_its_own_digest(files, tmp_path):
    right = hashlib.sha256((tmp_path / "sinst.jsonl").read_bytes()).hexdigest()
    files["sinst"]["sha256"] = right
    divided(files, tmp_path)
    files["sinst"] = {"url": (tmp_path / "sinst.jsonl").as_uri(), "sha256": right}
    _, manifest = divided(files, tmp_path)
    assert manifest["raw"]["files"]["sinst"]["origin"].startswith("file://")
    for wrong in ({"path": str(tmp_path / "sinst.jsonl")}, {"url": (tmp_path / "sinst.jsonl").as_uri()}):
        files["sinst"] = {**wrong, "sha256": "0" * 64}
        with pytest.raises(UserError, match=f"sinst.jsonl has sha256 {right}, not 0000"):
            divided(files, tmp_path)
        assert (tmp_path / "raw" / "sinst.jsonl").read_bytes() == (tmp_path / "sinst.jsonl").read_bytes()


def test_a_fetched_file_waits_for_those_that_cannot_be_fetched_yet(files, tmp_path):
    elsewhere = tmp_path / "elsewhere.jsonl"
    files["dolly"] = {"url": (tmp_path / "dolly.jsonl").as_uri()}
    files["train"] = {"url": elsewhere.as_uri()}
    with pytest.raises(UserError, match="cannot be fetched"):
        divided(files, tmp_path)
    (tmp_path / "dolly.jsonl").unlink()
    write(elsewhere, [row(n) for n in range(40)])
    records, _ = divided(files, tmp_path)
    assert len(records) == 60
    assert not list(tmp_path.glob("*.fetched"))


def test_a_prompt_file_and_a_field_file_give_the_same_records(files, tmp_path):
    fields = [{**row(n), "input": f"context {n}"} for n in range(4)]
    write(tmp_path / "dolly.jsonl", fields)
    one, _ = divided(files, tmp_path)
    cropped, _ = prompted(DOLLY, one, "alpaca", max_chars=100)
    prompts = [r.prompt for r in cropped if r.test_set == "dolly"]
    write(tmp_path / "dolly.jsonl", [{"prompt": prompt, "output": "yes"} for prompt in prompts])
    two, _ = divided(files, tmp_path)
    assert two == one


def test_cropping_cuts_the_input_and_spares_template_and_references(files, tmp_path):
    long = {**row(1), "input": "word " * 50, "output": ["answer " * 40, "short"]}
    write(tmp_path / "dolly.jsonl", [long, row(100), {"instruction": "Explain " * 20, "input": "x", "output": "y"}])
    records, _ = divided(files, tmp_path)
    cropped, counts = prompted(DOLLY, records, "alpaca", max_chars=60)
    one, two, three = [r for r in cropped if r.test_set == "dolly"]
    assert counts == {"instruction": 1, "input": 1, "target": 0}
    assert one.inputs == {"instruction": "Question 1?", "input": " ".join(["word"] * 10)}
    wrapped = f"### Instruction:\nQuestion 1?\n\n### Input:\n{one.inputs['input']}\n\n### Response:"
    assert one.prompt.endswith(wrapped)
    assert one.references == [long["output"][0].strip(), "short"]
    assert one.target == long["output"][0].strip()
    assert two.prompt.endswith("### Instruction:\nQuestion 100?\n\n### Response:")
    assert three.inputs == {"instruction": " ".join(["Explain"] * 7), "input": "x"}
    assert three.prompt.endswith("Explain\n\n### Input:\nx\n\n### Response:")
    plain, _ = prompted(DOLLY, records, max_chars=60)
    assert plain[0].prompt == f"Question 1?\n{one.inputs['input']}"


def test_splits_that_cropping_makes_alike_are_refused(files, tmp_path):
    same = [{**row(1), "input": f"{'word ' * 20}{end}"} for end in ("a", "b")]
    write(tmp_path / "train.jsonl", [same[0], *(row(n) for n in range(2, 40))])
    write(tmp_path / "dolly.jsonl", [same[1]])
    records, _ = divided(files, tmp_path)
    with pytest.raises(UserError, match="have the same text after cropping to 60 characters; raise `max_chars`"):
        prompted(DOLLY, records, max_chars=60)


def test_training_files_without_classes_are_drawn_and_capped(files, tmp_path):
    records, _ = prompted(DOLLY, divided(files, tmp_path)[0])
    whole, validation = rows_of(DOLLY, "sft", records)
    assert Counter(r["id"] for r in whole) == Counter(r.id for r in of_split(records, "train"))
    assert {r["id"] for r in validation} == {r.id for r in of_split(records, "validation")}
    assert rows_of(DOLLY, "sft", records, 6)[0] == whole[:6]
    assert {r["id"] for r in rows_of(DOLLY, "teacher", records)[0]} == {r.id for r in of_split(records, "teacher")}
    outputs = {r["id"]: {"id": r["id"], "outputs": [f"says {r['id']}"]} for r in whole}
    kd, _ = rows_of(DOLLY, "kd", records, 6, outputs)
    assert [(r["id"], r["teacher_output"]) for r in kd] == [(r["id"], f"says {r['id']}") for r in whole[:6]]


def test_generated_data_take_the_same_way(tmp_path):
    config = {"rows": 60, "test_rows": 10, "test_sets": ["dolly", "sinst"], "seed": 3}
    made = [prepare(DOLLY, tmp_path / name, **config, splits=SPLITS, max_bad_share=0) for name in ("one", "two")]
    (records, manifest), _ = made
    assert Counter(r.test_set for r in of_split(records, "test")) == {"dolly": 10, "sinst": 10}
    assert len(records) == 80
    assert (tmp_path / "one/records.jsonl").read_bytes() == (tmp_path / "two/records.jsonl").read_bytes()
    raw = manifest["raw"]
    assert raw["origin"] == "generator of dolly, rows: 10 dolly, 10 sinst, 60 train, seed 3"
    assert sum(raw["rows_by_skill"]["train"].values()) == 60


SEVERAL = {role: {"path": "x"} for role in ("train", *NAMES)}


def check_data(source="synthetic", splits=None, **data):
    """Check keys of the section ``data`` as the configuration does."""
    given = {"source": source, "splits": {"val_rows": 5} if splits is None else splits, **data}
    DOLLY.layout.check(DOLLY.layout.Options.model_validate(given))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"splits": {}}, "splits: give either `val_rows` or a validation file"),
        (
            {"source": "files", "files": {**SEVERAL, "validation": {"path": "x"}}},
            "splits: give either `val_rows` or a validation file",
        ),
        ({"test_sets": ["alpaca"]}, "test_sets: `alpaca` is none of dolly, selfinst"),
        ({"test_sets": ["uinst", "uinst"]}, "`uinst` is listed twice"),
        (
            {"source": "files", "files": {**SEVERAL, "dev": {"path": "x"}}},
            "files: `dev` is none of train, validation, dolly",
        ),
        (
            {"source": "files", "files": {"train": {"path": "x"}}, "test_sets": ["vicuna"]},
            "files: `vicuna` is missing; give its `path` or `url`, or list other `test_sets`",
        ),
        ({"source": "files"}, "`source: files` needs `files`"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_data(**data)


def test_keys_that_go_together_are_taken():
    check_data()
    check_data(test_sets=["dolly"])
    check_data("files", files=SEVERAL)
    check_data("files", splits={}, files={**SEVERAL, "validation": {"url": "https://x/y"}})


@pytest.mark.parametrize("file", [{}, {"path": "x", "url": "https://x/y"}])
def test_a_file_has_one_origin(file):
    with pytest.raises(ValueError, match="give either `path` or `url`"):
        check_data("files", files={"train": file})
