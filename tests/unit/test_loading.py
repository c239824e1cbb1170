import json
import shutil
from dataclasses import replace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, sha256, write_sha256sums
from pipestill.models.adapters import add_adapter
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.saving import save_model
from pipestill.settings.training import LoraConfig
from support.models import CPU, make_batch, make_directory, make_tokenizer

NF4 = replace(CPU, quantization="nf4")
LORA = LoraConfig(r=4, alpha=8, dropout=0.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("models") / "base")


def train(model, tokenizer, steps=3, seed=0):
    """A few real steps, so that the adapter is no longer zero."""
    torch.manual_seed(seed)
    batch = make_batch(tokenizer)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    model.train()
    for _ in range(steps):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def make_trained(directory, base, plan=CPU, adaptation="lora", init=None, seed=1):
    """Train from ``init`` or ``base``, save to ``directory``; returns the logits of the model before it was saved."""
    tokenizer = load_tokenizer(base)
    if init:
        model = load_trained_model(init, base, plan, merge=True, training=True)
    else:
        model = load_base_model(base, plan, training=True)
    torch.manual_seed(seed)
    if adaptation == "lora":
        model = add_adapter(model, LORA, plan)
    train(model, tokenizer, seed=seed)
    save_model(model, tokenizer, directory, lineage=make_lineage(directory, base, init), extras={"a.json": {"b": 1}})
    return logits(model, tokenizer)


@torch.no_grad()
def logits(model, tokenizer):
    batch = make_batch(tokenizer)
    batch.pop("labels")
    return model(**batch).logits.float()


def test_base_model_is_as_saved(base):
    from safetensors.torch import load_file

    model = load_base_model(base, CPU)
    for name, tensor in load_file(base / "model.safetensors").items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert not model.training and model.config.use_cache and model.config._attn_implementation == "sdpa"
    assert not load_base_model(base, CPU, training=True).config.use_cache


def test_number_formats(base):
    bf16 = replace(CPU, precision="bf16", weights="bf16")
    amp = replace(CPU, precision="fp16", weights="fp32")
    assert load_base_model(base, bf16, training=True).dtype == torch.bfloat16
    assert load_base_model(base, amp, training=True).dtype == torch.float32  # the Trainer's fp16 needs fp32 weights
    assert load_base_model(base, amp).dtype == torch.float16


def test_special_tokens_agree_with_the_tokenizer(tmp_path):
    from transformers.trainer_utils import align_special_tokens

    directory = make_directory(tmp_path / "base", seal=False)
    tokenizer = make_tokenizer()
    pad, start, end = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    for name in ("config.json", "generation_config.json"):
        value = json.loads((directory / name).read_text()) | {"eos_token_id": [pad, start], "pad_token_id": 99}
        (directory / name).write_text(json.dumps(value))
    write_sha256sums(directory)
    model = load_base_model(directory, CPU)
    for config in (model.config, model.generation_config):
        assert (config.pad_token_id, config.eos_token_id) == (pad, [end, pad, start])
    align_special_tokens(model, tokenizer)  # what the Trainer does: nothing is left to do
    assert model.config.eos_token_id == model.generation_config.eos_token_id == [end, pad, start]


def test_padding_token_falls_back_with_a_note(tmp_path, caplog):
    directory = make_directory(tmp_path / "base", pad=None)
    tokenizer = load_tokenizer(directory, padding_side="left")
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>" and tokenizer.padding_side == "left"
    assert "no padding token" in caplog.text
    assert load_base_model(directory, CPU).config.pad_token_id == tokenizer.eos_token_id


def test_refusals(tmp_path, base):
    with pytest.raises(UserError, match="nowhere does not exist"):
        load_base_model(tmp_path / "nowhere", CPU)
    with pytest.raises(UserError, match="nowhere does not exist"):
        load_tokenizer(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no weights"):
        load_base_model(tmp_path / "empty", CPU)
    with pytest.raises(UserError, match="empty holds no tokenizer"):
        load_tokenizer(tmp_path / "empty")
    pickled = tmp_path / "pickled"
    shutil.copytree(base, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickle \(pytorch_model.bin\).*base_model rule"):
        load_base_model(pickled, CPU)
    unsealed = tmp_path / "unsealed"
    shutil.copytree(base, unsealed, ignore=shutil.ignore_patterns(SHA256SUMS))
    with pytest.raises(UserError, match=f"has no {SHA256SUMS}"):
        load_base_model(unsealed, CPU)


def test_damage_names_the_file(tmp_path, base):
    damaged = tmp_path / "damaged"
    shutil.copytree(base, damaged)
    content = bytearray((damaged / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors does not match"):
        load_base_model(damaged, CPU)


def test_long_checks_are_announced(base, monkeypatch, capsys):
    load_base_model(base, CPU)
    assert "checking" not in capsys.readouterr().err
    monkeypatch.setattr("pipestill.models.lineage.ANNOUNCED_BYTES", 1000)
    load_base_model(base, CPU)
    assert f"GiB of {base}" in capsys.readouterr().err


def test_other_architecture_is_refused(tmp_path, base):
    other = tmp_path / "other"
    shutil.copytree(base, other)
    (other / "config.json").write_text('{"model_type": "no_such_model"}')
    write_sha256sums(other)
    with pytest.raises(UserError, match="does not describe a language model"):
        load_base_model(other, CPU)


@pytest.mark.parametrize(("plan", "tolerance"), [(CPU, 0.0), (NF4, 1e-5)], ids=["fp32", "nf4"])
def test_adapter_survives_saving(tmp_path, base, plan, tolerance):
    before = make_trained(tmp_path / "run", base, plan)
    tokenizer = load_tokenizer(tmp_path / "run")
    model = load_trained_model(tmp_path / "run", base, plan)
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(logits(model, tokenizer), before, atol=tolerance, rtol=0)
    assert (before - logits(load_base_model(base, plan), tokenizer)).abs().max() > 0.1  # training moved it
    if plan is CPU:
        merged = load_trained_model(tmp_path / "run", base, plan, merge=True)
        assert not hasattr(merged, "peft_config")
        torch.testing.assert_close(logits(merged, tokenizer), before, atol=1e-4, rtol=0)


def test_full_weights_survive_saving(tmp_path, base):
    before = make_trained(tmp_path / "run", base, adaptation="full")
    model = load_trained_model(tmp_path / "run", tmp_path / "not needed", CPU)
    assert torch.equal(logits(model, load_tokenizer(tmp_path / "run")), before)


@pytest.mark.parametrize("plan", [CPU, NF4], ids=["fp32", "nf4"])
def test_adapter_on_merged_adapters(tmp_path, base, plan):
    """base + merged sft + merged second + own adapter, and the whole tree moved elsewhere."""
    tree = tmp_path / "results"
    sft, second, third = tree / "s_sft/seed_1/model", tree / "s_dpo/seed_1/model", tree / "s_more/seed_1/model"
    make_trained(sft, base, plan, seed=1)
    make_trained(second, base, plan, init=sft, seed=2)
    before = make_trained(third, base, plan, init=second, seed=3)
    moved = tmp_path / "elsewhere" / "results"
    moved.parent.mkdir()
    tree.rename(moved)
    third = moved / third.relative_to(tree)
    paths = [entry["path"] for entry in json.loads((third / "lineage.json").read_text())["merged"]]
    assert paths == ["../../../s_sft/seed_1/model", "../../../s_dpo/seed_1/model"]
    after = logits(load_trained_model(third, base, plan), load_tokenizer(third))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_adapter_on_full_student(tmp_path, base):
    make_trained(tmp_path / "sft", base, adaptation="full")
    before = make_trained(tmp_path / "dpo", base, init=tmp_path / "sft")
    after = logits(load_trained_model(tmp_path / "dpo", base, CPU), load_tokenizer(base))
    assert torch.equal(after, before)


def test_lineage_is_checked(tmp_path, base):
    sft, dpo = tmp_path / "sft", tmp_path / "dpo"
    make_trained(sft, base)
    make_trained(dpo, base, init=sft)
    with pytest.raises(UserError, match="another version of"):
        load_trained_model(dpo, make_directory(tmp_path / "other", seed=5), CPU)
    with pytest.raises(UserError, match="no_base, which is missing"):
        load_trained_model(dpo, tmp_path / "no_base", CPU)
    make_trained(sft, base, seed=9)  # trained again since
    with pytest.raises(UserError, match=r"dpo was trained on another version of .*sft"):
        load_trained_model(dpo, base, CPU)
    shutil.rmtree(sft)
    with pytest.raises(UserError, match=r"dpo was trained on .*sft, which is missing"):
        load_trained_model(dpo, base, CPU)
    with pytest.raises(UserError, match="train the model first"):
        load_trained_model(sft, base, CPU)


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_saved_files(tmp_path, base, adaptation):
    """The same run twice gives the same bytes; no file knows where it was made."""
    first, again = tmp_path / "first" / "model", tmp_path / "again" / "model"
    for directory in (first, again):
        make_trained(directory, base, adaptation=adaptation)
    assert {path.name: sha256(path) for path in first.iterdir()} == {p.name: sha256(p) for p in again.iterdir()}
    names = {path.name for path in first.iterdir()}
    weights = {"adapter_model.safetensors", "adapter_config.json"} if adaptation == "lora" else {"model.safetensors"}
    assert weights | {"a.json", "lineage.json", "tokenizer.json", "chat_template.jinja", SHA256SUMS} <= names
    assert "README.md" not in names
    for path in first.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes() and str(base.parent).encode() not in path.read_bytes()
