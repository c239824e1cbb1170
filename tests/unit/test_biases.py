"""BitFit: nothing but biases is trained, and a model without any is refused."""

import pytest
import torch
import yaml

from pipestill.errors import UserError
from pipestill.io.files import read_json, write_sha256sums
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.methods import METHODS
from pipestill.models.biases import free_biases
from pipestill.models.classifiers import with_head
from pipestill.models.hardware import Probe, plan_hardware
from pipestill.models.lineage import is_adapter
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.plan.check import check
from pipestill.plan.model_files import ModelFiles
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.preflight import problems
from pipestill.plan.resolve import resolve_training
from pipestill.settings.models import HardwareConfig
from pipestill.training.files import Inputs
from pipestill.training.run import train
from support.models import CPU, MAKERS, make_directory, make_directory_of, make_tokenizer
from support.training_job import make_settings, outputs_in
from support.workflow import ROOT

ROWS = [{"id": str(n), "input": f"Age: {n}.0", "output": ("Good", "Bad")[n % 2]} for n in range(8)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def file(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    return tmp_path / "rows.jsonl"


def make_run(directory, file, base, method="bitfit", init=None, more=None, **training):
    training = dict(adaptation="biases", max_steps=4, learning_rate=0.05, evaluations=2, batch_size=4) | training
    settings = make_settings(method, **training).model_copy(update={"hardware": HardwareConfig(device="cpu")})
    outputs = outputs_in(directory)
    train(settings.model_copy(update=more or {}), Inputs(file, file, base, init), outputs, seed=1, threads=1)
    return outputs.model


def weights_of(model):
    return {name: tensor for name, tensor in model.state_dict().items()}


def test_training_changes_biases_and_nothing_else(tmp_path, file, base):
    model = make_run(tmp_path / "run", file, base)
    assert not is_adapter(model)
    before, after = weights_of(load_base_model(base, CPU)), weights_of(load_trained_model(model, base, CPU))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys() and changed == {name for name in before if name.endswith("bias")}
    assert len(changed) == 6  # queries, keys and values of two layers


def test_the_loss_falls_and_the_profile_counts_what_is_trained(tmp_path, file, base):
    model = make_run(tmp_path / "run", file, base, max_steps=20)
    losses = [row["eval_loss"] for row in read_jsonl(model / "history.jsonl") if "eval_loss" in row]
    assert losses[-1] < losses[0] - 0.01
    assert read_json(model / "profile.json")["trainable_parameters"] == 2 * (64 + 32 + 32)


def test_it_starts_from_the_merged_sft_student(tmp_path, file, base):
    adapted = make_run(tmp_path / "sft", file, base, "sft", adaptation="lora")
    model = make_run(tmp_path / "run", file, base, init=adapted)
    merged = load_trained_model(adapted, base, CPU, merge=True)
    before, after = weights_of(merged), weights_of(load_trained_model(model, base, CPU))
    moved = {name for name in before if not torch.allclose(before[name], after[name], atol=1e-6)}
    assert moved and all(name.endswith("bias") for name in moved)


@pytest.mark.parametrize(("kind", "config"), [("causal", {"hidden_act": "relu"}), ("bert", {}), ("marian", {})])
def test_biases_of_every_architecture_are_found(kind, config):
    model = free_biases(MAKERS[kind](60, **config))
    trained = {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if name.endswith("bias")}


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(make_tokenizer()), **shape))


def test_a_head_is_trained_beside_the_biases_but_is_no_reason_to_have_them():
    model, head = with_head(MAKERS["bert"](60), ["a", "b"])
    trained = {name for name, tensor in free_biases(model, head).named_parameters() if tensor.requires_grad}
    assert {"bert.pooler.dense.weight", "classifier.weight", "bert.embeddings.LayerNorm.bias"} <= trained
    assert "bert.embeddings.LayerNorm.weight" not in trained
    for plain, new in ((llama(), ()), with_head(llama(), ["a", "b"])):
        with pytest.raises(UserError, match="the llama model has no biases, so nothing of it can be trained"):
            free_biases(plain, new)


def test_files_say_whether_a_model_has_biases(tmp_path, base):
    llama().save_pretrained(tmp_path / "llama")
    t5 = make_directory_of("t5", tmp_path / "t5")  # its relative_attention_bias is an embedding
    assert [ModelFiles(path).biased for path in (base, t5, tmp_path / "llama")] == [True, False, False]
    assert ModelFiles(tmp_path).biased is ModelFiles(None).biased is None


def test_a_study_with_such_a_student_is_refused_before_any_work(tmp_path):
    llama().save_pretrained(tmp_path)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["creditmix"]["methods"] = ["sft", "bitfit"]
    wanted = Needs(trainings=[("creditmix", "sft"), ("creditmix", "bitfit")])
    assert problems(Plan(check(config), ROOT), wanted) == []
    config["models"]["demo-student"] = {"kind": "causal", "source": "path", "path": str(tmp_path)}
    (found,) = problems(Plan(check(config), ROOT), wanted)
    assert "studies.creditmix: `bitfit` trains nothing but biases, and `demo-student` has none" in found


def test_a_model_without_biases_stops_its_job_with_a_sentence(tmp_path, file):
    base = tmp_path / "llama"
    llama().save_pretrained(base)
    make_tokenizer().save_pretrained(base)
    write_sha256sums(base)
    assert load_tokenizer(base)
    with pytest.raises(UserError, match="use `lora` or `full`, or a model with biases"):
        make_run(tmp_path / "run", file, base)


def test_weights_are_whole_on_every_machine():
    gpu = Probe(cuda_capability=(9, 0), bitsandbytes=True, cores=4)
    for asked in ("auto", "nf4"):
        plan = plan_hardware(gpu, HardwareConfig(quantization=asked), adaptation="biases", threads=1, environ={})
        assert (plan.quantization, plan.weights) == ("none", "fp32")
        assert any("trained biases are stored with all weights" in note for note in plan.notes) == (asked == "nf4")


def test_a_method_has_settings_between_those_of_the_study_and_its_overrides():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    study = config["studies"]["creditmix"]
    study["methods"], study["training"] = ["sft", "bitfit"], {"adaptation": "lora", "epochs": 2}
    assert METHODS["bitfit"].training["adaptation"] == "biases"

    def resolved(method):
        checked = check(config)
        return resolve_training(checked.training, checked.studies["creditmix"], method).training

    assert [resolved(method).adaptation for method in ("sft", "bitfit")] == ["lora", "biases"]
    assert resolved("bitfit").epochs == 2
    study["overrides"] = {"bitfit": {"adaptation": "full", "learning_rate": 0.5}}
    assert (resolved("bitfit").adaptation, resolved("bitfit").learning_rate) == ("full", 0.5)
