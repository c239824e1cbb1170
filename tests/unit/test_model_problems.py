"""What models on the machine cannot do is known before any work, from their files alone."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pipestill.methods import METHODS
from pipestill.plan.check import check
from pipestill.plan.model_files import ModelFiles
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "resources" / "models"


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def missing(config, **needs):
    """What a run of the configuration lacks for the jobs that it needs."""
    return problems(Plan(check(config), ROOT), Needs(**needs))


def copied(name, directory, file="config.json", **changes):
    """The small files of a shipped model, one of them changed."""
    directory.mkdir()
    for each in (SHIPPED / name).glob("*.json"):
        shutil.copyfile(each, directory / each.name)
    content = json.loads((directory / file).read_text())
    (directory / file).write_text(json.dumps(content | changes))
    return {"kind": "causal", "source": "path", "path": str(directory)}


def test_files_say_what_a_model_is():
    causal, seq2seq, masked = (
        ModelFiles(SHIPPED / f"demo-{kind}") for kind in ("student", "t5-student", "bert-student")
    )
    assert [each.kind for each in (causal, seq2seq, masked)] == ["causal", "seq2seq", "masked"]
    assert [each.positions for each in (causal, seq2seq, masked)] == [1024, None, 1024]
    assert [each.layers for each in (causal, seq2seq, masked)] == [4, 3, 4]
    assert causal.vocabulary == seq2seq.vocabulary and len(causal.vocabulary) == 1536
    assert {"model.layers.0.self_attn.q_proj", "model.embed_tokens"} <= causal.modules
    assert "model.norm" not in causal.modules


def test_files_that_say_nothing(tmp_path):
    (tmp_path / "config.json").write_text("[3]")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    for files in (ModelFiles(tmp_path), ModelFiles(None), ModelFiles(tmp_path / "none")):
        assert (files.kind, files.positions, files.layers, files.vocabulary, files.modules) == (
            *[None] * 4,
            frozenset(),
        )


def test_demo_models_can_do_what_the_default_asks(config):
    studies = config["studies"]
    rows = [(name, method) for name, study in studies.items() for method in study["methods"] if method != "lead"]
    trained = [(study, method) for study, method in rows if METHODS[method].trains]
    needs = {"models": list(config["models"]), "predictions": rows, "trainings": trained}
    assert [each for each in missing(config, **needs, annotations=["multiclinsum"]) if "free disk" not in each] == []


def test_a_kind_that_the_files_deny(config, tmp_path):
    config["models"]["mine"] = copied("demo-bert-student", tmp_path / "mine")
    assert missing(config, models=["mine"]) == [
        "models.mine.kind: `causal`, but the model's config.json describes a `masked` model; set that"
    ]


def test_prompts_that_are_longer_than_the_positions(config, tmp_path):
    config["models"]["demo-student"] = copied("demo-student", tmp_path / "small", max_position_embeddings=200)
    said = "has `max_length` 256, but `demo-student` reads 200 tokens at most; lower `training.max_length`"
    found = missing(config, predictions=[("creditmix", "base")], trainings=[("creditmix", "sft")])
    assert found == [f"studies.creditmix: `sft` {said}", f"studies.creditmix: `base` {said}"]


def test_a_teacher_must_read_what_its_students_do(config, tmp_path):
    config["models"]["demo-teacher"] = copied("demo-teacher", tmp_path / "small", max_position_embeddings=200)
    (found,) = missing(config, trainings=[("dolly", "fkl")])
    assert "`fkl` has `max_length` 256, but `demo-teacher` reads 200 tokens" in found


def test_a_local_annotator_that_cannot_write_so_much(config, tmp_path):
    config["models"]["demo-teacher"] = copied("demo-teacher", tmp_path / "small", max_position_embeddings=90)
    (found,) = missing(config, annotations=["multiclinsum"])
    assert found.startswith("tasks.multiclinsum.annotation.steps: `max_tokens` 96 leaves no room for a question")


def test_modules_that_a_model_has_not(config):
    lora = {"adaptation": "lora", "lora": {"target_modules": ["q_proj", "c_attn"]}}
    config["studies"]["creditmix"]["training"] = lora
    (found,) = missing(config, trainings=[("creditmix", "sft")])
    assert "names `c_attn` for `sft`, and `demo-student` has none, but down_proj, embed_tokens" in found
    lora["lora"]["target_modules"] = ["q_proj", "mlp.down_proj"]
    assert missing(config, trainings=[("creditmix", "sft")]) == []
    lora["lora"]["target_modules"] = ["norm"]  # which is no matrix
    assert len(missing(config, trainings=[("creditmix", "sft")])) == 1


def test_vocabularies_that_differ_and_tokens_that_there_are_not(config, tmp_path):
    trainings = [("dolly", "fkl"), ("dolly", "sft")]
    config["studies"]["dolly"]["distributions"]["k"] = 1537
    assert missing(config, trainings=trainings) == [
        "studies.dolly.distributions.k: 1537 is more than the 1536 tokens there are; lower it"
    ]
    config["studies"]["dolly"]["distributions"]["k"] = 1536
    added = [{"id": 0, "content": "<|end|>"}]
    config["models"]["demo-teacher"] = copied("demo-teacher", tmp_path / "other", "tokenizer.json", added_tokens=added)
    (found,) = missing(config, trainings=trainings)
    assert found.startswith("studies.dolly.methods: `fkl` compares `demo-student` with `demo-teacher` token by token")


def test_files_where_directories_are_asked_and_the_other_way_round(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    config["models"]["demo-student"]["path"] = "file"
    config["tasks"]["creditmix"]["data"].update(source="file", path=".")
    config["tasks"]["multiclinsum"]["annotation"]["ledger"] = "file"
    config["studies"]["dolly"]["checkpoints"] = {"mine": {"path": "file"}}
    needs = {"models": ["demo-student"], "tasks": ["creditmix"], "annotations": ["multiclinsum"]}
    assert missing(config, **needs, checkpoints=[("dolly", "mine")]) == [
        "models.demo-student.path: file is a file; name a model directory",
        "tasks.creditmix.data.path: . is a directory; name a file",
        "studies.dolly.checkpoints.mine.path: file is a file; name a model directory",
        "tasks.multiclinsum.annotation.ledger: file is a file; name a directory",
    ]


def test_shares_of_a_learning_curve_that_are_no_rows_or_the_same(config):
    study = config["studies"]["creditmix"]
    study["train_rows"] = 600
    assert missing(config, curves=["creditmix"]) == []
    for shares, sizes in (([0.001, 1], "0, 600"), ([0.5, 0.501, 1], "300, 300, 600")):
        study["learning_curve"] = shares
        (found,) = missing(config, curves=["creditmix"])
        assert f"studies.creditmix.learning_curve: its shares are {sizes} rows, at most" in found
