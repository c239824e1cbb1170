"""Submissions in the challenge's layout, from predictions on disk."""

import re
import zipfile

import pytest

from pipestill.errors import UserError
from pipestill.io.records import Record, write_jsonl
from pipestill.layouts.base import Cropping
from pipestill.layouts.documents import CropConfig, DocumentFile, DocumentsData
from pipestill.tasks import TASKS
from pipestill.tasks.multiclinsum.challenge import challenge_records
from pipestill.tasks.multiclinsum.submission import submission, write_submissions

TASK = TASKS["multiclinsum"]


def record(number, language="en", **changes):
    meta = {"file": f"multiclinsum_test_{number}_{language}", "language": language}
    fields = {"split": "test", "inputs": {"document": ""}, "target": "", "references": [], "test_set": language}
    return Record(f"r{number}{language}", **{**fields, "meta": meta, **changes})


def answer(record, text, seed=None):
    return {"id": record.id, "split": "test", "sampling_seed": seed, "prediction": text}


RECORDS = [record(1), record(12), record(1, "es"), record(5, split="train")]
ANSWERS = [answer(RECORDS[0], " one \n"), answer(RECORDS[2], "uno"), answer(RECORDS[1], ""), answer(RECORDS[1], "x", 2)]


def test_every_document_has_a_file_of_its_own():
    made = submission(ANSWERS, RECORDS, "my-team", 3)
    assert made.files == {
        "my-team_multiclinsum_en_run_3/multiclinsum_test_1_en_sum.txt": "one\n",
        "my-team_multiclinsum_en_run_3/multiclinsum_test_12_en_sum.txt": "\n",
        "my-team_multiclinsum_es_run_3/multiclinsum_test_1_es_sum.txt": "uno\n",
    }
    assert made.empty == ["multiclinsum_test_12_en"]


@pytest.mark.parametrize(
    ("answers", "records", "team", "message"),
    [
        (ANSWERS[:2], RECORDS, "t", "document multiclinsum_test_12_en is not answered"),
        (ANSWERS, RECORDS, "my/team", "`submission.team` is 'my/team'"),
        (ANSWERS, [record(1, meta={"file": "../x"})], "t", "no document name that a file could have ('../x')"),
        (ANSWERS, [record(1, meta={})], "t", "no document name that a file could have (None)"),
        (ANSWERS, [record(1), record(1)], "t", "two test documents are called multiclinsum_test_1_en"),
        (ANSWERS, [record(1, split="train")], "t", "there is no test document"),
    ],
)
def test_what_cannot_be_submitted_is_refused(answers, records, team, message):
    with pytest.raises(UserError, match=re.escape(message)):
        submission(answers, records, team, 1)


def test_runs_are_numbered_in_the_order_of_their_seeds(tmp_path):
    for seed in (10, 2):
        rows = [{**row, "prediction": f"{row['prediction'].strip()} {seed}"} for row in ANSWERS]
        write_jsonl(tmp_path / "predictions" / f"seed_{seed}" / "predictions.jsonl", rows)
    write_jsonl(tmp_path / "records.jsonl", RECORDS)
    made = write_submissions(tmp_path / "predictions", tmp_path / "records.jsonl", "t", tmp_path / "submission")
    assert list(made) == ["run 1 (seed 2)", "run 2 (seed 10)"]
    found = {path.relative_to(tmp_path / "submission").as_posix() for path in (tmp_path / "submission").rglob("*.txt")}
    assert found == {path for each in made.values() for path in each.files}
    spanish = tmp_path / "submission" / "t_multiclinsum_es_run_2" / "multiclinsum_test_1_es_sum.txt"
    assert spanish.read_text() == "uno 10\n"


def test_official_documents_become_test_records_with_the_prompts_of_training(tmp_path):
    for language in ("en", "es"):
        with zipfile.ZipFile(tmp_path / f"multiclinsum_test_{language}.zip", "w") as file:
            for number in (20, 3):
                name = f"test/fulltext/multiclinsum_test_{number}_{language}.txt"
                file.writestr(name, f"The report {number}. " * 20)
    with zipfile.ZipFile(tmp_path / "multiclinsum_test_es.zip") as file:
        file.extractall(tmp_path / "folder")
    wanted = {
        "en": DocumentFile(url=(tmp_path / "multiclinsum_test_en.zip").as_uri()),
        "es": DocumentFile(path=str(tmp_path / "folder")),
    }
    options, how = DocumentsData(crop=CropConfig(text=40)), Cropping(TASK.prompts["answer"])
    records = challenge_records(TASK, wanted, options, how, tmp_path / "state")
    assert [r.meta["file"] for r in records] == [
        f"multiclinsum_test_{n}_{code}" for code in ("en", "es") for n in (3, 20)
    ]
    assert records[0].prompt == "Summarize clinical text:\nThe report 3. The report 3."
    assert records[0].references == []
    again = challenge_records(TASK, wanted, options, how, tmp_path / "state")
    assert again == records
    made = submission([answer(r, "s") for r in records], records, "t", 1)
    assert len(made.files) == 4
    wanted["more"] = wanted["es"]
    with pytest.raises(UserError, match="two documents are called multiclinsum_test_3_es"):
        challenge_records(TASK, wanted, options, how, tmp_path / "state")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Case_1", "case_1"), "two test documents are called case_1: the challenge cannot tell them apart"),
        (("x" * 248, "y"), "has no document name that a file could have"),
    ],
)
def test_names_that_some_system_cannot_tell_apart_or_have_are_refused(names, message):
    records = [record(number, meta={"file": name}) for number, name in enumerate(names)]
    answers = [answer(each, "text") for each in records]
    with pytest.raises(UserError, match=message):
        submission(answers, records, "t", 1)
