"""Settings of a task of documents: what fits together, and what it is told."""

from pathlib import Path

import pytest
import yaml
from pipestill.plan.datasets import published_datasets

from pipestill.errors import UserError
from pipestill.plan.check import check
from pipestill.plan.preflight import problems

ROOT = Path(__file__).parents[2]
SHARES = {"test_frac": 0.19, "val_frac": 0.01}


def configured(**task):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"]["multiclinsum"] = {"splits": SHARES, **task}
    config["studies"]["multiclinsum"]["methods"] = ["base", "sft"]  # which need no annotation
    return check(config)


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"rows": 10, "crop": {"unit": "tokens", "tokenizer": "demo-student", "text": 100}},
        {"source": "published", "datasets": ["multiclinsum-gs-en", "multiclinsum-ls-en"]},
        {"source": "files", "files": {"mine": {"path": "folder"}}},
        {
            "source": "files",
            "files": {"train": {"path": "a.csv", "use": "divide"}, "test": {"path": "b.jsonl"}},
            "splits": {"val_frac": 0.1},
        },
        {
            "source": "files",
            "files": {name: {"path": f"{name}.csv"} for name in ("train", "validation", "test")},
            "splits": {},
        },
        {  # shares that a default brings along and nothing needs
            "source": "files",
            "files": {name: {"path": f"{name}.csv"} for name in ("train", "validation", "test")},
        },
    ],
)
def test_what_documents_may_come_from(task):
    assert configured(**task).tasks["multiclinsum"].splits.unit == "case"


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"source": "file", "path": "x.zip"}, "takes several files; use `files`, `published` or `synthetic`"),
        ({"source": "published"}, "`source: published` needs `datasets`"),
        ({"source": "published", "datasets": ["gold"]}, "datasets: `gold` is none of multiclinsum-gs-en, "),
        ({"source": "files", "files": {"x": {"url": "https://x.org/x.tar?y=1"}}}, "it ends in none of .zip, .jsonl"),
        ({"splits": {"test_frac": 0.2}}, "splits: give `val_frac`, or a file for validation"),
        ({"splits": {"test_frac": 0.5, "val_frac": 0.5}}, "leave nothing to train on"),
        ({"splits": {**SHARES, "val_rows": 3}}, "splits.val_rows: `multiclinsum` is a task of documents"),
        (
            {"splits": {"test_per_class": 3, "val_frac": 0.1}},
            "splits.test_per_class: `multiclinsum` is a task of docum",
        ),
        ({"max_chars": 100}, "max_chars: `multiclinsum` is a task of documents; remove the key"),
        ({"source": "files", "files": {"test": {"path": "x.csv"}}, "splits": {"val_frac": 0.1}}, "none is divided"),
        (
            {"source": "files", "files": {n: {"path": "x.csv"} for n in ("test", "validation")}, "splits": {}},
            "files: none is for training",
        ),
        ({"crop": {"unit": "tokens", "tokenizer": "gpt"}}, "crop.tokenizer: `gpt` is not defined in models"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(task, sentence):
    with pytest.raises(UserError) as error:
        configured(**task)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("task", "change", "key"),
    [
        ("creditmix", {"crop": {"text": 5}}, "crop"),
        ("dolly", {"splitter": "punkt"}, "splitter"),
        ("creditmix", {"splits": {"test_per_class": 9, "val_per_class": 9, "unit": "row"}}, "splits.unit"),
        ("dolly", {"source": "published", "datasets": ["multiclinsum-gs-en"]}, "datasets"),
    ],
)
def test_other_tasks_have_no_use_for_these_keys(task, change, key):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"][task].update(change)
    with pytest.raises(UserError, match=f"tasks.{task}.{key}: `{task}` is no task of documents; remove the key"):
        check(config)


def test_studies_of_other_tasks_have_no_bertscore_and_no_submission():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for key, value in (("bertscore", {"encoder": "demo-student", "layer": 2}), ("submission", {"team": "x"})):
        changed = {**config, "studies": {**config["studies"], "dolly": {**config["studies"]["dolly"], key: value}}}
        with pytest.raises(UserError, match=f"studies.dolly.{key}: `dolly` is no task of documents; remove the key"):
            check(changed)


def test_bertscore_needs_an_encoder_and_a_layer():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"]["multiclinsum"] = {"splits": SHARES}
    study = {"task": "multiclinsum", "student": "demo-student", "methods": ["base"]}
    for value, sentence in (
        ({"encoder": "demo-student"}, "`encoder` and `layer` are given together"),
        ({"encoder": "bert", "layer": 2}, "bertscore.encoder: `bert` is not defined in models"),
    ):
        config["studies"]["multiclinsum"] = {**study, "bertscore": value}
        with pytest.raises(UserError) as error:
            check(config)
        assert sentence in str(error.value)


def test_published_sets_have_addresses_licences_and_uses():
    assert len(published_datasets()) == 12
    for name, facts in published_datasets().items():
        language = name.rpartition("-")[2]
        assert facts["url"].startswith("https://zenodo.org/records/")
        assert f"_{language}.zip" in facts["url"]
        assert facts["licence"] == "CC-BY-4.0"
        assert facts["use"] == {"gs": "divide", "ls": "train", "test": "test"}[name.split("-")[1]]
    files = (
        configured(source="published", datasets=["multiclinsum-gs-pt", "multiclinsum-ls-pt"])
        .tasks["multiclinsum"]
        .files_of()
    )
    assert files["multiclinsum-ls-pt"].use == "train"


def test_missing_folders_are_known_before_any_work(tmp_path):
    task = {"source": "files", "files": {"mine": {"path": str(tmp_path)}, "gone": {"path": str(tmp_path / "x")}}}
    found = problems(configured(**task), ROOT, models=[], tasks=["multiclinsum"], trainings=[])
    assert [sentence for sentence in found if "does not exist" in sentence] == [
        f"tasks.multiclinsum.files.gone.path: {tmp_path}/x does not exist; put the data there, or name another file"
    ]


def test_sentences_are_taken_from_documents_only():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    study = {"task": "multiclinsum", "student": "demo-student", "methods": ["lead", "textrank"]}
    config["studies"]["extracts"] = {**study, "training": {"init": "sft"}}  # which is about methods that train
    assert check(config).studies["extracts"].methods == ["lead", "textrank"]
    config["studies"]["extracts"] = {**study, "task": "dolly"}
    with pytest.raises(UserError) as error:
        check(config)
    assert str(error.value) == (
        "config: studies.extracts.methods: `lead` takes sentences of documents, and `dolly` is no task of documents; "
        "leave it out"
    )
