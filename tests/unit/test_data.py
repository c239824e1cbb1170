import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pipestill.data import training_files
from pipestill.data.crop import crop_records
from pipestill.data.make_records import make_records
from pipestill.data.null_prompts import null_prompts
from pipestill.data.raw import read_rows
from pipestill.data.source import provide_raw
from pipestill.data.text_crop import crop_text
from pipestill.data.training_files import make_training_files
from pipestill.plan.data import SourceConfig, SplitsConfig

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import SPLITS, normalise, of_split, read_jsonl, write_jsonl
from pipestill.tasks import TASKS, BadRow

ROOT = Path(__file__).parents[2]
CREDITMIX = TASKS["creditmix"]
SPLIT_SIZES = SplitsConfig(test_per_class=10, val_per_class=5, teacher_share=0.5)


def row(text, label="Good"):
    return {"question": text, "answer": label}


@pytest.fixture
def raw(tmp_path):
    """The raw directory of 400 synthetic rows."""
    provide_raw("creditmix", SourceConfig(rows=400, seed=3), tmp_path / "raw")
    return tmp_path / "raw"


def write_raw(directory, text):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "data.json").write_text(text)
    (directory / "manifest.json").write_text("{}")
    return directory


def prepare(raw, tmp_path, config=SPLIT_SIZES, max_bad_share=0.05):
    make_records("creditmix", config, max_bad_share, raw, tmp_path / "records.jsonl", tmp_path / "manifest.json")
    return read_jsonl(tmp_path / "records.jsonl"), read_json(tmp_path / "manifest.json")


def prompted(records):
    """Records as they leave the crop stage, none of them cropped."""
    return crop_records(records, CREDITMIX, 10_000)[0]


def test_lists_and_lines_are_read_and_broken_rows_are_named_by_line(tmp_path):
    path = tmp_path / "data.json"
    path.write_text('[\n{"a": 1},\n{"a": 2,},\n{"a":\n 3}, 4,\n{"a": 5}\n]')
    assert [(line, str(r) if isinstance(r, BadRow) else r) for line, r in read_rows(path)] == [
        (2, {"a": 1}),
        (3, "broken JSON (Expecting property name enclosed in double quotes)"),
        (4, {"a": 3}),
        (5, "not a JSON object"),
        (6, {"a": 5}),
    ]
    path.write_text('{"a": 1}\n{"a":\n\n{"a": 2}\n7\n')
    kinds = [(line, "bad" if isinstance(r, BadRow) else r) for line, r in read_rows(path)]
    assert kinds == [(1, {"a": 1}), (2, "bad"), (4, {"a": 2}), (5, "bad")]
    path.write_text('[{"a": 1}, {"a": oops}, {"a": 2}]')
    assert sum(isinstance(r, BadRow) for _, r in read_rows(path)) == 1


def test_only_a_newline_ends_a_line(tmp_path):
    path = tmp_path / "data.json"
    texts = ["a\u2028b", "c\u0085d\x0b", "e"]
    path.write_bytes("\r\n".join(json.dumps({"a": text}, ensure_ascii=False) for text in texts).encode())
    assert list(read_rows(path)) == [(line, {"a": text}) for line, text in enumerate(texts, 1)]


@pytest.mark.parametrize("end", ["", ",", "\n", ",\n\n"])
def test_a_list_that_breaks_off_is_named(tmp_path, end):
    path = tmp_path / "data.json"
    path.write_text('[\n{"a": 1},\n{"a": 2}' + end)
    *rows, (line, last) = read_rows(path)
    assert rows == [(2, {"a": 1}), (3, {"a": 2})]
    assert (line, str(last)) == (3, "the list is not closed")


def test_the_manifest_names_the_source_that_was_used(tmp_path):
    (tmp_path / "mine.json").write_text("[]")
    values = {"path": str(tmp_path / "mine.json"), "url": (tmp_path / "mine.json").as_uri(), "rows": 30, "seed": 2}
    origins = {"file": values["path"], "url": values["url"], "synthetic": "generator of creditmix, 30 rows, seed 2"}
    for source, origin in origins.items():
        provide_raw("creditmix", SourceConfig(source=source, **values), tmp_path / source)
        manifest = read_json(tmp_path / source / "manifest.json")
        assert (manifest["source"], manifest["origin"]) == (source, origin)


@pytest.mark.parametrize(
    ("script", "others"),
    [
        ("download", ("splits", "reading", "raw", "training_files")),
        ("records", ("download", "crop", "training_files")),
        ("balance", ("splits", "reading")),
    ],
)
def test_a_job_does_not_import_the_code_of_others(script, others):
    """What a script imports counts in the digest of its code, and so decides what an edit runs again."""
    code = f"import sys; sys.path.insert(0, 'workflow_scripts'); import {script}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {f"pipestill.data.{other}" for other in others} & set(modules.split())


def test_the_same_configuration_gives_the_same_bytes(raw, tmp_path):
    first, _ = prepare(raw, tmp_path)
    data = (tmp_path / "records.jsonl").read_bytes()
    provide_raw("creditmix", SourceConfig(rows=400, seed=3), tmp_path / "again")
    (tmp_path / "second").mkdir()
    second, _ = prepare(tmp_path / "again", tmp_path / "second")
    assert second == first
    assert (tmp_path / "second" / "records.jsonl").read_bytes() == data


def test_splits_are_balanced_disjoint_and_complete(raw, tmp_path):
    records, manifest = prepare(raw, tmp_path)
    for split, size in (("test", 10), ("validation", 5)):
        assert Counter(r["label"] for r in of_split(records, split)) == dict.fromkeys(CREDITMIX.labels, size)
    texts = [normalise(r["text"]) for r in records]
    assert len(set(texts)) == len(texts) == len({r["id"] for r in records})
    assert {r["split"] for r in records} == set(SPLITS)
    rest = len(records) - 45
    assert abs(len(of_split(records, "teacher")) - rest / 2) <= 2
    assert manifest["splits"]["test"] == dict.fromkeys(sorted(CREDITMIX.labels), 10)
    assert 0.85 <= manifest["raw"]["bayes_accuracy"] <= 0.90
    assert manifest["raw"]["source"] == "synthetic"


def test_another_seed_draws_other_rows(raw, tmp_path):
    first, _ = prepare(raw, tmp_path)
    second, _ = prepare(raw, tmp_path, SPLIT_SIZES.model_copy(update={"seed": 43}))
    assert [r["id"] for r in first] == [r["id"] for r in second]
    assert [r["split"] for r in first] != [r["split"] for r in second]


def test_shares_are_alternatives_to_sizes(raw, tmp_path):
    records, _ = prepare(raw, tmp_path, SplitsConfig(test_frac=0.15, val_frac=0.06))
    expected = {split: round(share * len(records) / 3) for split, share in (("test", 0.15), ("validation", 0.06))}
    for split, size in expected.items():
        assert Counter(r["label"] for r in of_split(records, split)) == dict.fromkeys(CREDITMIX.labels, size)


def test_bad_and_repeated_rows_are_counted_and_listed(tmp_path):
    rows = [row(f"Age: {n}", label) for n in range(40) for label in CREDITMIX.labels]
    rows = [{**r, "question": f"{r['question']}, {r['answer']}"} for r in rows]
    rows[3] = row("x", "Excellent")
    rows[5] = row("y", "")
    rows[7] = row("  ")
    rows[11] = {"question": "z"}
    rows.append({**rows[0], "question": rows[0]["question"].upper()})
    rows.append(row(rows[0]["question"], "Bad"))
    text = "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
    _, manifest = prepare(write_raw(tmp_path / "raw", text), tmp_path)
    assert manifest["bad_rows_listed"] == [
        {"line": 5, "reason": "unknown label 'Excellent'"},
        {"line": 7, "reason": "no label"},
        {"line": 9, "reason": "empty text"},
        {"line": 13, "reason": "no label"},
    ]
    assert manifest["bad_rows_by_reason"] == {"empty text": 1, "no label": 2, "unknown label 'Excellent'": 1}
    assert (manifest["repeated_rows"], manifest["repeated_with_another_target"]) == (2, 1)
    with pytest.raises(UserError, match=r"4 of 122 rows are unusable.*line 5: unknown label"):
        prepare(tmp_path / "raw", tmp_path, max_bad_share=0.01)


def test_empty_data_and_small_classes_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no rows"):
        prepare(write_raw(tmp_path / "raw", "[]"), tmp_path)
    few = [row(f"Age: {n}", "Bad" if n == 0 else "Good" if n % 2 else "Standard") for n in range(100)]
    with pytest.raises(UserError, match="class 'Bad' has 1 rows: too few for 10 test and 5 validation"):
        prepare(write_raw(tmp_path / "raw", json.dumps(few)), tmp_path)


def numbered(counts):
    return [row(f"{label} {n}", label) for label, count in counts.items() for n in range(count)]


@pytest.mark.parametrize(
    ("n_bad", "teacher_share", "left"),
    [
        (17, 0.9, "2 are left to train the teacher and 0 to train students"),
        (17, 0.2, "0 are left to train the teacher and 2 to train students"),
        (16, 0.5, "0 are left to train the teacher and 1 to train students"),
        (16, 0.0, None),
        (17, 0.5, None),
    ],
)
def test_no_class_is_left_without_rows_to_train_on(tmp_path, n_bad, teacher_share, left):
    raw = write_raw(tmp_path / "raw", json.dumps(numbered({"Good": 60, "Standard": 60, "Bad": n_bad})))
    config = SPLIT_SIZES.model_copy(update={"teacher_share": teacher_share})
    if left:
        with pytest.raises(UserError, match=f"class 'Bad' has {n_bad} rows: after .* {left}; change `teacher_share`"):
            prepare(raw, tmp_path, config)
        assert not (tmp_path / "records.jsonl").exists()
    else:
        records, _ = prepare(raw, tmp_path, config)
        for training_file in ("teacher", "sft"):
            chosen = training_files.select(records, training_file, CREDITMIX.labels, None, seed=1)
            assert Counter(r["label"] for r in chosen) == dict.fromkeys(CREDITMIX.labels, 1)


def test_shares_that_give_no_row_are_refused(raw, tmp_path):
    with pytest.raises(UserError, match=r"`val_frac` 0.001 of \d+ rows is none for each of 3 classes"):
        prepare(raw, tmp_path, SplitsConfig(test_per_class=10, val_frac=0.001))


def test_an_absent_class_is_not_trained_without(raw, tmp_path):
    records, _ = prepare(raw, tmp_path)
    without = [r for r in records if r["label"] != "Bad" or r["split"] != "train"]
    with pytest.raises(UserError, match=r"there are \d+ rows to train on, but none of class 'Bad'"):
        training_files.select(without, "sft", CREDITMIX.labels, None, seed=1)


def test_cropping_ends_at_a_word_and_spares_targets(raw, tmp_path):
    assert crop_text("Age: 23.0, Occupation", 9) == "Age:"
    assert crop_text("Age: 23.0, Occupation", 10) == "Age: 23.0,"
    assert crop_text("abcdefgh", 4) == "abcd"
    records, _ = prepare(raw, tmp_path)
    cropped, count = crop_records(records, CREDITMIX, 150)
    assert count > 0
    for before, after in zip(records, cropped, strict=True):
        assert len(after["text"]) <= 150
        assert before["text"].startswith(after["text"])
        assert after["prompt"] == CREDITMIX.prompt(after["text"])
        assert (after["target"], after["label"], after["id"]) == (before["target"], before["label"], before["id"])
    with pytest.raises(UserError, match="have the same text after cropping to 4 characters"):
        crop_records(records, CREDITMIX, 4)


def test_only_training_is_balanced_and_smaller_caps_are_subsets(raw, tmp_path):
    records, _ = prepare(raw, tmp_path)
    smallest = min(Counter(r["label"] for r in of_split(records, "train")).values())
    whole = training_files.select(records, "sft", CREDITMIX.labels, None, seed=1)
    assert Counter(r["label"] for r in whole) == dict.fromkeys(CREDITMIX.labels, smallest)
    capped = training_files.select(records, "sft", CREDITMIX.labels, 7, seed=1)
    assert Counter(r["label"] for r in capped) == dict.fromkeys(CREDITMIX.labels, 7)
    assert {r["id"] for r in capped} < {r["id"] for r in whole}
    assert training_files.select(records, "sft", CREDITMIX.labels, 10_000, seed=1) == whole
    of_teacher = training_files.select(records, "teacher", CREDITMIX.labels, None, seed=1)
    assert {r["split"] for r in of_teacher} == {"teacher"}


def test_a_teacher_without_rows_of_its_own_learns_from_the_training_split(raw, tmp_path):
    records, _ = prepare(raw, tmp_path, SPLIT_SIZES.model_copy(update={"teacher_share": 0.0}))
    assert {r["split"] for r in training_files.select(records, "teacher", CREDITMIX.labels, None, seed=1)} == {"train"}


def files_of(tmp_path, training_file, outputs=None):
    train, validation = tmp_path / f"{training_file}.jsonl", tmp_path / "validation.jsonl"
    write_jsonl(tmp_path / "cropped.jsonl", prompted(read_jsonl(tmp_path / "records.jsonl")))
    make_training_files("creditmix", training_file, tmp_path / "cropped.jsonl", outputs, 9, 42, train, validation)
    return read_jsonl(train), read_jsonl(validation)


def test_training_files_have_the_published_schemas_and_the_same_rows(raw, tmp_path):
    records = prompted(prepare(raw, tmp_path)[0])
    by_id = {r["id"]: r for r in records}
    sft, validation = files_of(tmp_path, "sft")
    kd, _ = files_of(tmp_path, "kd")
    dpo, _ = files_of(tmp_path, "dpo")
    assert [r["id"] for r in sft] == [r["id"] for r in kd] == [r["id"] for r in dpo]
    assert len(sft) == 27
    assert len(validation) == 15
    for a, b, c in zip(sft, kd, dpo, strict=True):
        record = by_id[a["id"]]
        assert record["split"] == "train"
        assert a == {"id": record["id"], "input": record["prompt"], "output": record["label"]}
        assert b == {"id": record["id"], "input": record["prompt"], "teacher_output": record["label"]}
        assert c["chosen"] == record["label"] != c["rejected"]
        assert c["rejected"] in CREDITMIX.labels
    assert len({(r["chosen"], r["rejected"]) for r in dpo}) == 6


def test_kd_and_confusable_dpo_take_what_the_teacher_says(raw, tmp_path):
    prepare(raw, tmp_path)
    sft, _ = files_of(tmp_path, "sft")
    outputs = tmp_path / "outputs.jsonl"
    scores = {"Good": -1.0, "Standard": -2.0, "Bad": -3.0}
    lines = [{"id": r["id"], "output": f"says {n}", "label_scores": scores} for n, r in enumerate(sft)]
    outputs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kd, kd_validation = files_of(tmp_path, "kd", outputs)
    assert [r["teacher_output"] for r in kd] == [f"says {n}" for n in range(len(sft))]
    assert all(r["teacher_output"] in CREDITMIX.labels for r in kd_validation)
    dpo, _ = files_of(tmp_path, "dpo", outputs)
    assert {(r["chosen"], r["rejected"]) for r in dpo} == {("Good", "Standard"), ("Standard", "Good"), ("Bad", "Good")}
    outputs.write_text(json.dumps(lines[0]) + "\n")
    with pytest.raises(UserError, match="the teacher's outputs hold nothing for record creditmix-"):
        files_of(tmp_path, "kd", outputs)


def test_null_prompts_hold_no_example(raw, tmp_path):
    records = prompted(prepare(raw, tmp_path)[0])
    groups = null_prompts(CREDITMIX, records, None)
    assert {name: len(prompts) for name, prompts in groups.items()} == {
        "multi_null": 3,
        "domain_conditional": 20,
        "pmi": 1,
    }
    prompts = {r["prompt"] for r in records}
    assert not prompts & {p for group in groups.values() for p in group}
    assert groups == null_prompts(CREDITMIX, records, None)
    assert null_prompts(CREDITMIX, records, ["?"])["multi_null"] == [CREDITMIX.prompt("?")]
