import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipestill.answers.labels.null_prompts import null_prompts
from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import SPLITS, normalise, of_split, read_jsonl, write_jsonl
from pipestill.layouts.example import BadRow
from pipestill.layouts.raw import read_rows
from pipestill.methods import method_of
from pipestill.objectives.training_file import draw, write_training_file
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import TASKS
from pipestill.text.crop import crop_text
from support.layout_runs import prepare, prompted, provide, read, rows_of

ROOT = Path(__file__).parents[2]
CREDITMIX = TASKS["creditmix"]
LABELS = CREDITMIX.answers.labels
SPLIT_SIZES = {"test_rows": 30, "val_rows": 15, "teacher_share": 0.5}


def row(text, label="Good"):
    return {"question": text, "answer": label}


@pytest.fixture
def raw(tmp_path):
    """The raw directory of 400 synthetic rows."""
    provide(CREDITMIX, tmp_path / "raw", rows=400, seed=3)
    return tmp_path / "raw"


def write_raw(directory, text):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "data.json").write_text(text)
    (directory / "manifest.json").write_text("{}")
    return directory


def divided(directory, max_bad_share=0.05, **splits):
    """Records and manifest of the raw data in ``directory / "raw"``."""
    return read(CREDITMIX, directory, max_bad_share=max_bad_share, splits=SPLIT_SIZES | splits)


def labels_of(records):
    return Counter(record.target for record in records)


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
        provide(CREDITMIX, tmp_path / source, source=source, **values)
        manifest = read_json(tmp_path / source / "manifest.json")
        assert (manifest["source"], manifest["origin"]) == (source, origin)


@pytest.mark.parametrize(
    ("script", "others"),
    [
        ("download", ("objectives.training_file", "models", "answers.labels.calibration")),
        ("records", ("objectives", "models")),
        ("prompts", ("objectives", "models")),
        ("training_file", ("models", "losses.divergences")),
    ],
)
def test_a_job_does_not_import_the_code_of_others(script, others):
    """What a script imports counts in the digest of its code, and so decides what an edit runs again."""
    code = f"import sys; sys.path.insert(0, 'workflow_scripts'); import {script}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {f"pipestill.{other}" for other in others} & set(modules.split())


def test_the_same_configuration_gives_the_same_bytes(raw, tmp_path):
    first, _ = divided(tmp_path)
    second, _ = prepare(CREDITMIX, tmp_path / "again", rows=400, seed=3, splits=SPLIT_SIZES)
    assert second == first
    assert (tmp_path / "again" / "records.jsonl").read_bytes() == (tmp_path / "records.jsonl").read_bytes()


def test_splits_are_balanced_disjoint_and_complete(raw, tmp_path):
    records, manifest = divided(tmp_path)
    for split, size in (("test", 10), ("validation", 5)):
        assert labels_of(of_split(records, split)) == dict.fromkeys(LABELS, size)
    texts = [normalise(record.inputs["features"]) for record in records]
    assert len(set(texts)) == len(texts) == len({record.id for record in records})
    assert {record.split for record in records} == set(SPLITS)
    rest = len(records) - 45
    assert abs(len(of_split(records, "teacher")) - rest / 2) <= 2
    assert manifest["splits"]["test"] == dict.fromkeys(sorted(LABELS), 10)
    assert 0.85 <= manifest["raw"]["bayes_accuracy"] <= 0.90
    assert manifest["raw"]["source"] == "synthetic"


def test_another_seed_draws_other_rows(raw, tmp_path):
    first, _ = divided(tmp_path)
    second, _ = divided(tmp_path, seed=43)
    assert [record.id for record in first] == [record.id for record in second]
    assert [record.split for record in first] != [record.split for record in second]


def test_shares_are_alternatives_to_sizes(raw, tmp_path):
    records, _ = read(CREDITMIX, tmp_path, splits={"test_frac": 0.15, "val_frac": 0.06})
    expected = {split: round(share * len(records) / 3) for split, share in (("test", 0.15), ("validation", 0.06))}
    for split, size in expected.items():
        assert labels_of(of_split(records, split)) == dict.fromkeys(LABELS, size)


def test_bad_and_repeated_rows_are_counted_and_listed(tmp_path):
    rows = [row(f"Age: {n}", label) for n in range(40) for label in LABELS]
    rows = [{**r, "question": f"{r['question']}, {r['answer']}"} for r in rows]
    rows[3] = row("x", "Excellent")
    rows[5] = row("y", "")
    rows[7] = row("  ")
    rows[11] = {"question": "z"}
    rows.append({**rows[0], "question": rows[0]["question"].upper()})
    rows.append(row(rows[0]["question"], "Bad"))
    write_raw(tmp_path / "raw", "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]")
    _, manifest = divided(tmp_path)
    assert manifest["bad_rows_listed"] == [
        {"line": 5, "reason": "unknown label 'Excellent'"},
        {"line": 7, "reason": "no label"},
        {"line": 9, "reason": "empty text"},
        {"line": 13, "reason": "no label"},
    ]
    assert manifest["bad_rows_by_reason"] == {"empty text": 1, "no label": 2, "unknown label 'Excellent'": 1}
    assert (manifest["repeated_rows"], manifest["repeated_with_another_target"]) == (2, 1)
    with pytest.raises(UserError, match=r"4 of 122 rows are unusable.*line 5: unknown label"):
        divided(tmp_path, max_bad_share=0.01)


def test_empty_data_and_small_classes_are_refused(tmp_path):
    write_raw(tmp_path / "raw", "[]")
    with pytest.raises(UserError, match="holds no rows"):
        divided(tmp_path)
    few = [row(f"Age: {n}", "Bad" if n == 0 else "Good" if n % 2 else "Standard") for n in range(100)]
    write_raw(tmp_path / "raw", json.dumps(few))
    with pytest.raises(UserError, match="class 'Bad' has 1 rows: too few for 10 test and 5 validation"):
        divided(tmp_path)


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
    write_raw(tmp_path / "raw", json.dumps(numbered({"Good": 60, "Standard": 60, "Bad": n_bad})))
    if left:
        with pytest.raises(UserError, match=f"class 'Bad' has {n_bad} rows: after .* {left}; change `teacher_share`"):
            divided(tmp_path, teacher_share=teacher_share)
        assert not (tmp_path / "records.jsonl").exists()
    else:
        records, _ = divided(tmp_path, teacher_share=teacher_share)
        for method in ("teacher", "sft"):
            rows, _ = rows_of(CREDITMIX, method, records)
            assert Counter(r["output"] for r in rows) == dict.fromkeys(LABELS, 1)


def test_shares_that_give_no_row_are_refused(raw, tmp_path):
    with pytest.raises(UserError, match=r"`val_frac` 0.001 of \d+ rows is none for each of 3 classes"):
        read(CREDITMIX, tmp_path, splits={"test_rows": 30, "val_frac": 0.001})
    with pytest.raises(UserError, match="`val_rows` 2 is none for each of 3 classes"):
        divided(tmp_path, val_rows=2)


def test_an_absent_class_is_not_trained_without(raw, tmp_path):
    records, _ = divided(tmp_path)
    without = [record for record in of_split(records, "train") if record.target != "Bad"]
    with pytest.raises(UserError, match=r"there are \d+ rows to train on, but none of class 'Bad'"):
        draw(without, CREDITMIX.answers, None, seed=1)


def test_cropping_ends_at_a_word_and_spares_targets(raw, tmp_path):
    assert crop_text("Age: 23.0, Occupation", 9) == "Age:"
    assert crop_text("Age: 23.0, Occupation", 10) == "Age: 23.0,"
    assert crop_text("abcdefgh", 4) == "abcd"
    records, _ = divided(tmp_path)
    cropped, counts = prompted(CREDITMIX, records, max_chars=150)
    assert counts["features"] > 0
    for before, after in zip(records, cropped, strict=True):
        assert len(after.inputs["features"]) <= 150
        assert before.inputs["features"].startswith(after.inputs["features"])
        assert after.prompt == CREDITMIX.prompts["answer"].fill(after.inputs)
        assert (after.target, after.references, after.id) == (before.target, before.references, before.id)
    with pytest.raises(UserError, match="have the same text after cropping to 4 characters; raise `max_chars`"):
        prompted(CREDITMIX, records, max_chars=4)


def test_only_training_is_balanced_and_smaller_caps_are_subsets(raw, tmp_path):
    records, _ = divided(tmp_path)
    train = of_split(records, "train")
    whole = draw(train, CREDITMIX.answers, None, seed=1)
    assert labels_of(whole) == dict.fromkeys(LABELS, min(labels_of(train).values()))
    capped = draw(train, CREDITMIX.answers, 21, seed=1)
    assert labels_of(capped) == dict.fromkeys(LABELS, 7)
    assert {record.id for record in capped} < {record.id for record in whole}
    assert list(draw(train, CREDITMIX.answers, 10_000, seed=1)) == list(whole)
    with pytest.raises(UserError, match="2 training rows are none for each of 3 classes; raise `train_rows`"):
        draw(train, CREDITMIX.answers, 2, seed=1)
    teacher_rows, _ = rows_of(CREDITMIX, "teacher", records)
    assert {r["id"] for r in teacher_rows} <= {record.id for record in of_split(records, "teacher")}


def test_a_teacher_without_rows_of_its_own_learns_from_the_training_split(raw, tmp_path):
    records, _ = divided(tmp_path, teacher_share=0.0)
    rows, _ = rows_of(CREDITMIX, "teacher", records)
    assert {r["id"] for r in rows} <= {record.id for record in of_split(records, "train")}


def test_training_files_have_the_published_schemas_and_the_same_rows(raw, tmp_path):
    records, _ = prompted(CREDITMIX, divided(tmp_path)[0])
    by_id = {record.id: record for record in records}
    sft, validation = rows_of(CREDITMIX, "sft", records, 27)
    kd, _ = rows_of(CREDITMIX, "kd", records, 27)
    dpo, _ = rows_of(CREDITMIX, "dpo", records, 27)
    assert [r["id"] for r in sft] == [r["id"] for r in kd] == [r["id"] for r in dpo]
    assert len(sft) == 27
    assert len(validation) == 15
    for a, b, c in zip(sft, kd, dpo, strict=True):
        record = by_id[a["id"]]
        assert record.split == "train"
        assert a == {"id": record.id, "input": record.prompt, "output": record.target}
        assert b == {"id": record.id, "input": record.prompt, "teacher_output": record.target}
        assert c["chosen"] == record.target != c["rejected"]
        assert c["rejected"] in LABELS
    assert len({(r["chosen"], r["rejected"]) for r in dpo}) == 6


def test_kd_and_confusable_dpo_take_what_the_teacher_says(raw, tmp_path):
    records, _ = prompted(CREDITMIX, divided(tmp_path)[0])
    sft, _ = rows_of(CREDITMIX, "sft", records, 27)
    scores = {"Good": -1.0, "Standard": -2.0, "Bad": -3.0}
    outputs = {r["id"]: {"id": r["id"], "outputs": [f"says {n}"], "label_scores": scores} for n, r in enumerate(sft)}
    kd, kd_validation = rows_of(CREDITMIX, "kd", records, 27, outputs)
    assert [r["teacher_output"] for r in kd] == [f"says {n}" for n in range(len(sft))]
    assert all(r["teacher_output"] in LABELS for r in kd_validation)
    dpo, _ = rows_of(CREDITMIX, "dpo", records, 27, outputs)
    assert {(r["chosen"], r["rejected"]) for r in dpo} == {("Good", "Standard"), ("Standard", "Good"), ("Bad", "Good")}


def test_training_files_are_written_from_files_and_all_that_is_asked_for_must_be_in_them(raw, tmp_path):
    records, _ = prompted(CREDITMIX, divided(tmp_path)[0])
    write_jsonl(tmp_path / "cropped.jsonl", records)
    names = {"records": "cropped", "outputs": "outputs", "train": "kd", "validation": "validation"}
    files = {name: tmp_path / f"{stem}.jsonl" for name, stem in names.items()}
    settings = TrainingFileSettings(
        task="creditmix", prompt=TASKS["creditmix"].prompts["answer"], method="kd", rows=27, seed=1
    )

    def write(said):
        write_jsonl(files["outputs"], said)
        write_training_file(CREDITMIX, method_of("kd").objective, settings, files, lambda text, record: text)
        return read_jsonl(files["train"]), read_jsonl(files["validation"])

    said = [{"id": record.id, "outputs": ["Good"]} for record in records]
    by_id = {each["id"]: each for each in said}
    assert write(said) == rows_of(CREDITMIX, "kd", records, 27, by_id)
    with pytest.raises(UserError, match="the teacher's outputs hold nothing for record creditmix-"):
        write(said[:1])


def test_null_prompts_hold_no_example(raw, tmp_path):
    records, _ = prompted(CREDITMIX, divided(tmp_path)[0])
    answer, domain = CREDITMIX.prompts["answer"], CREDITMIX.prompts["unconditioned"]
    texts = CREDITMIX.answers.null_inputs
    groups = null_prompts(answer, domain, texts, records)
    assert {name: len(prompts) for name, prompts in groups.items()} == {
        "multi_null": 3,
        "domain_conditional": 20,
        "pmi": 1,
    }
    assert not {record.prompt for record in records} & {prompt for group in groups.values() for prompt in group}
    assert groups == null_prompts(answer, domain, texts, records)
    assert null_prompts(answer, domain, ["?"], records)["multi_null"] == [answer.fill({"features": "?"})]


def test_two_rows_with_one_id_are_named(tmp_path, monkeypatch):
    provide(CREDITMIX, tmp_path / "raw", rows=60)
    monkeypatch.setattr("pipestill.layouts.reading.id_of", lambda task, question: f"{len(question)}")
    with pytest.raises(
        UserError, match=r"^the rows in line \d+ and line \d+ get the same id by chance: .*leave it out$"
    ):
        read(CREDITMIX, tmp_path, splits={"test_rows": 6, "val_rows": 6})
