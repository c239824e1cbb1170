"""Checkpoints from elsewhere: every form gives the model's own answers, and what does not fit is refused."""

import json
import shutil

import pytest
import torch

from pipestill.errors import UserError
from pipestill.inference.loaded import load
from pipestill.io.files import read_json, sha256, verify_sha256sums
from pipestill.models.adapters import add_adapter
from pipestill.models.checkpoint import provide_checkpoint
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.saving import save_model
from pipestill.settings.training import LoraConfig
from support.models import CPU, make_batch, make_directory, make_model, make_tokenizer


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("models") / "base")


@torch.no_grad()
def logits(model, tokenizer):
    return model(**{name: value for name, value in make_batch(tokenizer).items() if name != "labels"}).logits


def adapted(base, seed=1, init=None):
    """The base, or a trained model, with a random adapter."""
    if init:
        model = load_trained_model(init, base, CPU, merge=True, training=True)
    else:
        model = load_base_model(base, CPU, training=True)
    model = add_adapter(model, LoraConfig(r=4, alpha=8, dropout=0.0), CPU)
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    return model.eval()


def as_full(path, base):
    model, tokenizer = make_model(len(make_tokenizer()), seed=5), make_tokenizer()
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return logits(model, load_tokenizer(path))


def as_pickle(path, base):
    """As training scripts of other projects leave it: weights pickled, tied ones twice, no tokenizer."""
    as_full(path, base)
    model = make_model(len(make_tokenizer()), seed=5)
    torch.save(model.state_dict(), path / "pytorch_model.bin")
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (path / name).unlink()
    (path / "args.json").write_text("{}")
    return logits(model, load_tokenizer(base))


def as_adapter(path, base):
    model = adapted(base)
    model.save_pretrained(path)
    return logits(model, load_tokenizer(base))


def as_pickled_adapter(path, base):
    expected = as_adapter(path, base)
    from safetensors.torch import load_file

    torch.save(load_file(path / "adapter_model.safetensors"), path / "adapter_model.bin")
    (path / "adapter_model.safetensors").unlink()
    config = read_json(path / "adapter_config.json")
    kept = ("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias")
    (path / "adapter_config.json").write_text(json.dumps({key: config[key] for key in kept}))  # as older ones are
    return expected


def as_own(path, base):
    """A student that was trained here, from an SFT student whose adapter is merged first."""
    tokenizer, sft = load_tokenizer(base), path.parent / "sft"
    save_model(adapted(base), tokenizer, sft, lineage=make_lineage(sft, base))
    model = adapted(base, 2, init=sft)
    extras = {"history.jsonl": [{"step": 1}], "profile.json": {"trainable_parameters": 7}}
    save_model(model, tokenizer, path, lineage=make_lineage(path, base, sft), extras=extras)
    return logits(model, tokenizer)


FORMS = {form.__name__: form for form in (as_full, as_pickle, as_adapter, as_pickled_adapter, as_own)}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_as_the_model_itself(tmp_path, base, form):
    expected = FORMS[form](tmp_path / "elsewhere/checkpoint", base)
    output = tmp_path / "results/dolly_other/model"
    provide_checkpoint(tmp_path / "elsewhere/checkpoint", base, output)
    loaded = load(base, output, CPU)
    model = loaded.model
    torch.testing.assert_close(logits(model, loaded.tokenizer), expected)
    assert verify_sha256sums(output)
    assert read_json(output / "lineage.json")["base_model"]["sha256sums"] == sha256(base / "SHA256SUMS")
    assert not list(output.glob("*.bin"))
    profile = read_json(output / "profile.json")
    if form == "as_own":
        assert (output / "history.jsonl").is_file() and profile == {"trainable_parameters": 7}
    else:
        trained = [p for name, p in model.named_parameters() if "adapter" not in form or "lora_" in name]
        assert profile["trainable_parameters"] == sum(p.numel() for p in trained) > 0
        assert profile["total_parameters"] == sum(p.numel() for p in model.parameters())
        assert bool(read_json(output / "provenance.json")["converted"]) == ("pickle" in form)


def refused(path, base, tmp_path, message):
    with pytest.raises(UserError, match=message) as error:
        provide_checkpoint(path, base, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(error.value)


def test_missing(tmp_path, base):
    refused(tmp_path / "none", base, tmp_path, "none does not exist: correct its `path`")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", base, tmp_path, "empty has no config.json")
    as_full(tmp_path / "bare", base)
    (tmp_path / "bare/model.safetensors").unlink()
    refused(tmp_path / "bare", base, tmp_path, "holds no weights")
    as_adapter(tmp_path / "adapter", base)
    (tmp_path / "adapter/adapter_model.safetensors").unlink()
    refused(tmp_path / "adapter", base, tmp_path, "has an adapter_config.json, but no adapter_model.safetensors or")


@pytest.mark.parametrize(("form", "file"), [("as_full", "model"), ("as_adapter", "adapter_model")])
def test_damaged(tmp_path, base, form, file):
    FORMS[form](tmp_path / "checkpoint", base)
    weights = tmp_path / f"checkpoint/{file}.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused(tmp_path / "checkpoint", base, tmp_path, f"{file}.safetensors of checkpoint .* is damaged")


def test_a_pickle_that_holds_code(tmp_path, base):
    as_pickled_adapter(tmp_path / "checkpoint", base)
    torch.save({"a": print}, tmp_path / "checkpoint/adapter_model.bin")
    refused(tmp_path / "checkpoint", base, tmp_path, "holds more than tensors, and is not read")


def test_weights_of_another_model(tmp_path, base):
    as_full(tmp_path / "wide", base)
    config = read_json(tmp_path / "wide/config.json")
    (tmp_path / "wide/config.json").write_text(json.dumps(config | {"intermediate_size": 128}))
    shapes = r"it has other shapes: model\.layers\.0\.mlp\.down_proj\.weight \(64, 96\) for \(64, 128\), .* and 3 more"
    refused(tmp_path / "wide", base, tmp_path, shapes)
    for wrong in ({"model_type": "no-such-model"}, config | {"num_hidden_layers": 3}):
        (tmp_path / "wide/config.json").write_text(json.dumps(wrong))
        refused(tmp_path / "wide", base, tmp_path, "config.json of .*wide does not describe a language model")


def test_an_adapter_of_another_base_model(tmp_path, base):
    as_adapter(tmp_path / "checkpoint", base)
    other = make_directory(tmp_path / "other", hidden_size=32)
    refused(tmp_path / "checkpoint", other, tmp_path, r"does not fit base model other: \d+ of its weights")
    flat = make_directory(tmp_path / "flat", num_hidden_layers=1)
    refused(tmp_path / "checkpoint", flat, tmp_path, r"such as .*layers\.1")
    config = tmp_path / "checkpoint/adapter_config.json"
    config.write_text(json.dumps(read_json(config) | {"target_modules": ["nowhere"]}))
    refused(tmp_path / "checkpoint", base, tmp_path, "is not an adapter for base model base: .*nowhere")


def test_a_model_of_this_pipeline_that_changed_or_lost_its_ancestors(tmp_path, base):
    as_own(tmp_path / "checkpoint", base)
    other = make_directory(tmp_path / "other", seed=3)
    refused(tmp_path / "checkpoint", other, tmp_path, "was trained on another version of .*other")
    shutil.move(tmp_path / "sft", tmp_path / "moved")
    refused(tmp_path / "checkpoint", base, tmp_path, "was trained on .*sft, which is missing")
    shutil.move(tmp_path / "moved", tmp_path / "sft")
    (tmp_path / "checkpoint/history.jsonl").write_text("{}")
    refused(tmp_path / "checkpoint", base, tmp_path, "does not match its sha256")
