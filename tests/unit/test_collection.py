"""Documents from archives, folders and tables to records: no case in two splits, nothing dropped in silence."""

import csv
import json
import random
import zipfile
from collections import Counter

import pytest
from pipestill.data.collection import unanswered_records
from pipestill.data.make_records import make_records
from pipestill.data.pairs import read_pairs
from pipestill.data.source import provide_raw
from pipestill.plan.data import SourceConfig, SplitsConfig

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import of_split, read_jsonl
from pipestill.settings.data import FileConfig
from pipestill.tasks import TASKS, BadRow

SHARES = SplitsConfig(test_frac=0.19, val_frac=0.01, teacher_share=0.0)


def archive(path, numbers, language, kind="gs", summaries=True, **texts):
    """A published archive: a document for each number."""
    name = f"multiclinsum_{kind}_{language}_{{}}"
    with zipfile.ZipFile(path, "w") as file:
        for number in numbers:
            stem = name.format(number)
            file.writestr(f"{kind}/fulltext/{stem}.txt", texts.get(f"n{number}", f"long report {stem}"))
            if summaries:
                file.writestr(f"{kind}/summaries/{stem}_sum.txt", f"brief {number}")
    return path


def gold(tmp_path, n=592, languages=("en", "es", "fr", "pt")):
    return {
        f"gs-{code}": FileConfig(path=str(archive(tmp_path / f"gs_{code}.zip", range(1, n + 1), code)))
        for code in languages
    }


def prepare(tmp_path, files, splits=SHARES, max_bad_share=0.02):
    provide_raw("multiclinsum", SourceConfig(source="files", files=files), tmp_path / "raw")
    output = tmp_path / "records.jsonl", tmp_path / "manifest.json"
    make_records("multiclinsum", splits, max_bad_share, tmp_path / "raw", *output)
    return read_jsonl(output[0]), read_json(output[1])


def test_the_published_split(tmp_path):
    """1,892 / 20 / 456 rows, as the paper has them, and no case in two splits."""
    records, manifest = prepare(tmp_path, gold(tmp_path))
    assert manifest["splits"] == {
        "teacher": {},
        "train": dict.fromkeys(["en", "es", "fr", "pt"], 473),
        "validation": dict.fromkeys(["en", "es", "fr", "pt"], 5),
        "test": dict.fromkeys(["en", "es", "fr", "pt"], 114),
    }
    splits = {}
    for record in records:
        splits.setdefault(record["group"], set()).add(record["split"])
    assert len(splits) == manifest["cases"] == 592
    assert all(len(names) == 1 for names in splits.values())


def test_rows_can_be_divided_as_published_recipes_do(tmp_path):
    """The recipe's own lines: shuffle each language with Random(42), cut at int(n * ratio)."""
    records, _ = prepare(
        tmp_path, gold(tmp_path, 50, ("en", "es")), SHARES.model_copy(update={"unit": "row", "val_frac": 0.06})
    )
    for language in ("en", "es"):
        order = [f"multiclinsum_gs_{language}_{n}" for n in range(1, 51)]
        random.Random(42).shuffle(order)
        cut = int(50 * 0.75), int(50 * 0.75) + int(50 * 0.06)
        expected = {"train": order[: cut[0]], "validation": order[cut[0] : cut[1]], "test": order[cut[1] :]}
        for split, names in expected.items():
            found = [r["meta"]["file"] for r in of_split(records, split) if r["test_set"] == language]
            assert sorted(found) == sorted(names)


def test_the_teacher_has_cases_of_its_own(tmp_path):
    records, _ = prepare(tmp_path, gold(tmp_path, 100, ("en", "es")), SHARES.model_copy(update={"teacher_share": 0.6}))
    cases = {
        split: {r["group"] for r in of_split(records, split)} for split in ("teacher", "train", "validation", "test")
    }
    assert {split: len(names) for split, names in cases.items()} == {
        "teacher": 48,
        "train": 32,
        "validation": 1,
        "test": 19,
    }
    assert sum(map(len, cases.values())) == len(set.union(*cases.values()))


def test_splits_depend_on_the_documents_and_not_on_the_order_of_files(tmp_path):
    files = gold(tmp_path, 40, ("en", "es"))
    first, _ = prepare(tmp_path, files, SHARES.model_copy(update={"val_frac": 0.1}))
    second, _ = prepare(tmp_path, dict(reversed(files.items())), SHARES.model_copy(update={"val_frac": 0.1}))
    assert first == second


def test_a_set_for_training_alone_shares_no_case_with_tests(tmp_path):
    files = gold(tmp_path, 40, ("en",))
    files["ls-en"] = FileConfig(path=str(archive(tmp_path / "ls.zip", range(1, 31), "en", "ls")), use="train")
    again = {"n1": "long report multiclinsum_gs_en_1"}  # a text of the gold set
    files["more"] = FileConfig(path=str(archive(tmp_path / "more.zip", [1, 2], "en", "xs", **again)), use="train")
    records, manifest = prepare(tmp_path, files, SHARES.model_copy(update={"val_frac": 0.1}))
    kinds = Counter((r["split"], r["group"].split("-")[0]) for r in records)
    assert kinds == {
        ("train", "gs"): 28,
        ("validation", "gs"): 4,
        ("test", "gs"): 8,
        ("train", "ls"): 30,
        ("train", "xs"): 1,
    }
    assert manifest["files"]["more"]["documents_of_other_files"] == 1


def test_a_given_test_set_takes_its_cases_from_training(tmp_path):
    files = gold(tmp_path, 40, ("en", "es"))
    files["test"] = FileConfig(path=str(archive(tmp_path / "test.zip", range(1, 6), "fr", "gs")))
    records, manifest = prepare(tmp_path, files, SplitsConfig(val_frac=0.1, teacher_share=0.0))
    assert {r["group"] for r in of_split(records, "test")} == {f"gs-{n}" for n in range(1, 6)}
    assert not {r["group"] for r in records if r["split"] != "test"} & {f"gs-{n}" for n in range(1, 6)}
    assert manifest["files"]["gs-en"]["documents_of_other_files"] == 5


def test_unusable_documents_are_named_and_too_many_are_refused(tmp_path):
    archive(tmp_path / "gs_en.zip", range(1, 101), "en", n3="", n4="x")
    files = {"gs-en": FileConfig(path=str(tmp_path / "gs_en.zip"))}
    splits = SHARES.model_copy(update={"val_frac": 0.1})
    _, manifest = prepare(tmp_path, files, splits)
    reading = manifest["files"]["gs-en"]
    assert reading["bad_rows_listed"] == [
        {"file": "multiclinsum_gs_en_3", "reason": "empty text"},
        {"file": "multiclinsum_gs_en_4", "reason": "the summary is not shorter than its text"},
    ]
    with pytest.raises(UserError, match=r"2 of 100 rows are unusable.*\(multiclinsum_gs_en_3: empty text; "):
        prepare(tmp_path, files, splits, max_bad_share=0.01)


def test_folders_are_packed_with_their_texts_alone(tmp_path):
    with zipfile.ZipFile(archive(tmp_path / "x.zip", range(1, 21), "en")) as file:
        file.extractall(tmp_path / "unpacked")
    (tmp_path / "unpacked" / "gs" / "readme.pdf").write_text("PDF")
    splits = SplitsConfig(test_frac=0.2, val_frac=0.1, teacher_share=0.0)
    records, manifest = prepare(tmp_path, {"mine": FileConfig(path=str(tmp_path / "unpacked"))}, splits)
    assert len(records) == 20
    assert manifest["raw"]["files"]["mine"]["left_out"] == ["gs/readme.pdf"]
    assert [path.name for path in sorted((tmp_path / "raw").iterdir())] == ["manifest.json", "mine.zip"]
    with pytest.raises(UserError, match="is a folder, which has no sha256 to check"):
        prepare(tmp_path, {"mine": FileConfig(path=str(tmp_path / "unpacked"), sha256="0" * 64)}, splits)


def test_addresses_are_fetched_and_named_by_what_they_end_in(tmp_path):
    path = archive(tmp_path / "multiclinsum_gs_train_en.zip", range(1, 21), "en")
    splits = SplitsConfig(test_frac=0.2, val_frac=0.1, teacher_share=0.0)
    records, manifest = prepare(tmp_path, {"gs-en": FileConfig(url=path.as_uri())}, splits)
    assert len(records) == 20
    assert manifest["raw"]["files"]["gs-en"]["origin"] == path.as_uri()
    assert FileConfig(url="https://zenodo.org/x/multiclinsum_gs_train_en.zip?download=1").suffix == ".zip"


def write_table(path, rows):
    if path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FileConfig(path=str(path))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_pairs_of_one_s_own(tmp_path, suffix):
    rows = [{"input": f'línea uno {n}\nlínea "dos", tres', "summary": f"s{n}", "language": "es"} for n in range(30)]
    files = {
        name: write_table(tmp_path / f"{name}{suffix}", part)
        for name, part in (("train", rows[:20]), ("validation", rows[20:24]), ("test", rows[23:]))
    }
    records, manifest = prepare(tmp_path, files, SplitsConfig(teacher_share=0.5))
    assert Counter(r["split"] for r in records) == {"teacher": 10, "train": 10, "validation": 3, "test": 7}
    assert manifest["files"]["validation"]["documents_of_other_files"] == 1  # it is in the test file too
    assert {r["test_set"] for r in records} == {"es"}
    assert {r["text"] for r in of_split(records, "test")} == {row["input"] for row in rows[23:]}


def test_a_table_can_be_divided_too(tmp_path):
    rows = [{"text": f"report {n // 2} {n}", "summary": "s", "case": f"c{n // 2}"} for n in range(60)]
    files = {"train": write_table(tmp_path / "train.jsonl", rows).model_copy(update={"use": "divide"})}
    records, _ = prepare(tmp_path, files, SplitsConfig(test_frac=0.2, val_frac=0.1, teacher_share=0.0))
    assert Counter(r["split"] for r in records) == {"train": 42, "validation": 6, "test": 12}
    assert all(len({r["split"] for r in records if r["group"] == f"c{n}"}) == 1 for n in range(30))


def test_broken_tables_are_named_by_line(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('input,output\n"a\nb",c\nd\ne,f,g\n')
    found = [(line, str(row) if isinstance(row, BadRow) else row) for line, row in read_pairs(path)]
    assert found == [
        (2, {"input": "a\nb", "output": "c"}),
        (4, "fewer fields than the header has"),
        (5, "more fields than the header has"),
    ]
    path.write_text('input,output\n"a,c\n')
    with pytest.raises(UserError, match=r"x\.csv, line 2: not valid CSV"):
        list(read_pairs(path))
    path.write_text("")
    with pytest.raises(UserError, match="is empty: a first line with the names of the columns"):
        list(read_pairs(path))
    path.write_bytes(b"input,output\n\xff,b\n")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        list(read_pairs(path))
    path.write_text(f"input,output\n{'x' * 200_000},b\n")  # longer than the csv module's own limit
    assert len(next(read_pairs(path))[1]["input"]) == 200_000


@pytest.mark.parametrize(
    ("n", "splits", "message"),
    [
        (50, SHARES, r"50 cases give 40 for train, 0 for validation, 10 for test"),
        (3, SplitsConfig(test_frac=0.5, val_frac=0.4), r"3 cases give 0 for train, 1 for validation, 2 for test"),
        (
            20,
            SplitsConfig(test_frac=0.2, val_frac=0.1, teacher_share=0.01),
            r"of 14 training cases 0 are left .*teacher",
        ),
        (20, SplitsConfig(test_frac=0.2, val_frac=0.1, teacher_share=0.99), r"14 are left .* and 0 to train students"),
    ],
)
def test_splits_without_a_case_are_refused(tmp_path, n, splits, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, gold(tmp_path, n, ("en",)), splits)


def test_synthetic_data_take_the_same_way(tmp_path):
    provide_raw("multiclinsum", SourceConfig(rows=300, seed=3), tmp_path / "raw")
    output = tmp_path / "records.jsonl", tmp_path / "manifest.json"
    splits = SplitsConfig(test_frac=0.19, val_frac=0.05, teacher_share=0.6)
    make_records("multiclinsum", splits, 0.0, tmp_path / "raw", *output)
    records, manifest = read_jsonl(output[0]), read_json(output[1])
    generated = {row["file"]: row for row in TASKS["multiclinsum"].synthetic(300, 3)[0]}
    assert {r["meta"]["file"]: (r["text"], r["target"]) for r in records} == {
        name: (row["input"], row["output"]) for name, row in generated.items()
    }
    assert manifest["raw"]["cases"] == manifest["cases"] == 150
    for record in records:  # students learn from annotations, never from the generator's truth
        assert ("rationale" in record) == (record["split"] in ("teacher", "validation"))
        assert record["references"] == [record["target"]]


def test_documents_of_a_challenge_have_no_references(tmp_path):
    source = archive(tmp_path / "multiclinsum_test_en.zip", [3, 20], "en", "test", summaries=False)
    records = unanswered_records(TASKS["multiclinsum"], source)
    assert [(r["id"], r["split"], r["test_set"], r["references"], r["target"]) for r in records] == [
        (f"multiclinsum_test_en_{n}", "test", "en", [], "") for n in (3, 20)
    ]
    archive(source, [3], "en", "test", summaries=False, n3=" ")
    with pytest.raises(UserError, match="multiclinsum_test_en_3 cannot be used \\(empty text\\)"):
        unanswered_records(TASKS["multiclinsum"], source)
