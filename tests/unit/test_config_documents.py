"""Settings of a task of documents: what fits together, and what it is told."""

from pathlib import Path

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.layouts.published import published_datasets
from pipestill.plan.check import check
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems

ROOT = Path(__file__).parents[2]
SHARES = {"test_frac": 0.19, "val_frac": 0.01}


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def configured(**data):
    """The checked default with other keys of the documents' section ``data``."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["tasks"]["multiclinsum"] = {"data": {"splits": SHARES, **data}}
    config["studies"]["multiclinsum"]["methods"] = ["base", "sft"]  # which need no annotation
    return check(config)


@pytest.mark.parametrize(
    "data",
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
def test_what_documents_may_come_from(data):
    assert configured(**data).tasks["multiclinsum"].data.splits.unit == "case"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"source": "file"}, "Input should be 'synthetic', 'files' or 'published'"),
        ({"path": "x.zip"}, "unknown key `tasks.multiclinsum.data.path`"),
        ({"source": "published"}, "`source: published` needs `datasets`"),
        ({"source": "published", "datasets": ["gold"]}, "datasets: `gold` is none of multiclinsum-gs-en, "),
        ({"source": "files", "files": {"x": {"url": "https://x.org/x.tar?y=1"}}}, "it ends in none of .zip, .jsonl"),
        ({"splits": {"test_frac": 0.2}}, "splits: give `val_frac`, or a file for validation"),
        ({"splits": {"test_frac": 0.5, "val_frac": 0.5}}, "leave nothing to train on"),
        ({"splits": {**SHARES, "val_rows": 3}}, "unknown key `tasks.multiclinsum.data.splits.val_rows`"),
        ({"max_chars": 100}, "unknown key `tasks.multiclinsum.data.max_chars`"),
        ({"source": "files", "files": {"test": {"path": "x.csv"}}, "splits": {"val_frac": 0.1}}, "none is divided"),
        (
            {"source": "files", "files": {n: {"path": "x.csv"} for n in ("test", "validation")}, "splits": {}},
            "files: none is for training",
        ),
        ({"crop": {"unit": "tokens", "tokenizer": "gpt"}}, "crop.tokenizer: `gpt` is not defined in models"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(data, sentence):
    with pytest.raises(UserError) as error:
        configured(**data)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("task", "change", "key"),
    [
        ("creditmix", {"crop": {"text": 5}}, "crop"),
        ("creditmix", {"splits": {"test_rows": 9, "val_rows": 9, "unit": "row"}}, "splits.unit"),
        ("dolly", {"datasets": ["multiclinsum-gs-en"]}, "datasets"),
    ],
)
def test_other_layouts_do_not_have_these_keys(config, task, change, key):
    config["tasks"][task]["data"].update(change)
    with pytest.raises(UserError, match=f"unknown key `tasks.{task}.data.{key}`"):
        check(config)


def test_studies_of_labels_have_no_bertscore_and_other_tasks_no_submission(config):
    config["studies"]["creditmix"]["answers"]["bertscore"] = {"encoder": "demo-bert-student", "layer": 2}
    with pytest.raises(UserError, match=r"unknown key `studies\.creditmix\.answers\.bertscore`"):
        check(config)
    del config["studies"]["creditmix"]["answers"]["bertscore"]
    config["studies"]["dolly"]["submission"] = {"team": "x"}
    with pytest.raises(UserError, match=r"studies\.dolly\.submission: `dolly` has no challenge; remove the key"):
        check(config)


def test_bertscore_needs_an_encoder_and_a_layer(config):
    study = config["studies"]["multiclinsum"]
    for value, sentence in (
        ({"encoder": "demo-bert-student"}, "`encoder` and `layer` are given together"),
        ({"encoder": "bert", "layer": 2}, "answers.bertscore.encoder: `bert` is not defined in models"),
    ):
        study["answers"] = {"bertscore": value}
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
    config = configured(source="published", datasets=["multiclinsum-gs-pt", "multiclinsum-ls-pt"])
    assert config.tasks["multiclinsum"].data.all_files()["multiclinsum-ls-pt"].use == "train"


def test_missing_folders_are_known_before_any_work(tmp_path):
    data = {"source": "files", "files": {"mine": {"path": str(tmp_path)}, "gone": {"path": str(tmp_path / "x")}}}
    found = problems(Plan(configured(**data), ROOT), Needs(tasks=["multiclinsum"]))
    assert [sentence for sentence in found if "does not exist" in sentence] == [
        f"tasks.multiclinsum.data.files.gone.path: {tmp_path}/x does not exist; put the data there, or name another "
        "file"
    ]


def test_sentences_are_taken_from_documents_only(config):
    study = {"task": "multiclinsum", "student": "demo-student", "methods": ["lead", "textrank"]}
    config["studies"]["extracts"] = {**study, "training": {"init": "sft"}}  # which is about methods that train
    assert check(config).studies["extracts"].methods == ["lead", "textrank"]
    config["studies"]["extracts"] = {**study, "task": "dolly"}
    with pytest.raises(UserError) as error:
        check(config)
    assert str(error.value) == (
        "config: studies.extracts.methods: `lead` takes sentences of documents, and the answers of `dolly` are not "
        "such; leave it out"
    )
