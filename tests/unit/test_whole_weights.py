"""Weights are read whole or not at all: nothing is drawn at random in place of a missing one."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipestill.errors import UserError
from pipestill.io.files import read_json, write_json, write_sha256sums
from pipestill.metrics.bertscore import Encoder
from pipestill.models.adapters import add_adapter
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.provide import provide_base_model
from pipestill.models.saving import save_model
from pipestill.settings.models import BaseModelConfig
from pipestill.settings.training import LoraConfig
from support.models import CPU, make_bert, make_directory, make_model, make_t5, make_tokenizer

TINY = dict(hidden_size=16, intermediate_size=16, num_attention_heads=2, num_key_value_heads=1)
BERT = dict(hidden_size=16, intermediate_size=16, num_attention_heads=2)
T5 = dict(d_model=16, d_kv=8, d_ff=16, num_heads=2)
ONE_LAYER = {"num_hidden_layers": 1, "layer_types": ["full_attention"]}


def make(directory, model):
    directory.mkdir()
    make_tokenizer().save_pretrained(directory)
    model.save_pretrained(directory)
    return directory


def change(directory, weights=lambda state: state, **config):
    """Other weights and another config, sealed as if they had always been there."""
    path = directory / "model.safetensors"
    state = weights(load_file(path))
    save_file({name: tensor.clone() for name, tensor in state.items()}, path, metadata={"format": "pt"})
    write_json(directory / "config.json", read_json(directory / "config.json") | config)


def renamed(old, new):
    return lambda state: {name.replace(old, new): tensor for name, tensor in state.items()}


def without(*ends):
    return lambda state: {name: tensor for name, tensor in state.items() if not name.endswith(ends)}


def classifier():
    from transformers import Qwen2Config, Qwen2ForSequenceClassification

    return Qwen2ForSequenceClassification(Qwen2Config(vocab_size=len(make_tokenizer()), num_hidden_layers=1, **TINY))


def biased(state):
    return state | {"model.layers.0.self_attn.o_proj.bias": torch.ones(16)}


def causal(**config):
    return make_model(len(make_tokenizer()), **TINY, **config)


UNFIT = {
    "headless": (lambda: causal(tie_word_embeddings=False), "causal", without("lm_head.weight"), {}, "lacks lm_head"),
    "prefix": (causal, "causal", renamed("model.", "backbone."), {}, r"lacks .* and \d+ more, and .* backbone"),
    "trimmed": (causal, "causal", without("1.mlp.up_proj.weight"), {}, r"lacks model\.layers\.1\.mlp\.up_proj"),
    "cut_short": (causal, "causal", dict, ONE_LAYER, r"no place for model\.layers\.1\."),
    "biased": (causal, "causal", biased, {}, r"no place for model\.layers\.0\.self_attn\.o_proj\.bias"),
    "narrow": (causal, "causal", dict, {"intermediate_size": 8}, r"other shapes: .*\(16, 16\) for \(16, 8\)"),
    "adapted": (causal, "causal", renamed("q_proj.weight", "q_proj.base_layer.weight"), {}, "q_proj.weight"),
    "masked": (
        lambda: make_bert(len(make_tokenizer()), **BERT),
        "masked",
        without("transform.dense.weight"),
        {},
        "cls",
    ),
    "encoder": (
        lambda: make_t5(len(make_tokenizer()), **T5),
        "seq2seq",
        without("1.layer.0.SelfAttention.q.weight"),
        {},
        "lacks",
    ),
}

LOADED = ("headless", "prefix", "masked")  # later loads are the same function


@pytest.mark.parametrize("name", UNFIT)
def test_weights_that_do_not_fit_are_refused_when_the_base_model_is_made_and_at_later_loads(tmp_path, name):
    model, kind, weights, config, problem = UNFIT[name]
    directory = make(tmp_path / "given", model())
    change(directory, weights, **config)
    write_sha256sums(directory)
    with pytest.raises(UserError, match=f"does not fit its own config.json .*{problem}") as refusal:
        provide_base_model(BaseModelConfig(kind=kind, source="path", path=str(directory)), tmp_path / "base")
    assert "\n" not in str(refusal.value) and not (tmp_path / "base").exists()
    if name in LOADED:
        with pytest.raises(UserError, match=f"does not fit its own config.json .*{problem}"):
            load_base_model(directory, CPU)


def test_shards_are_all_of_the_index(tmp_path):
    directory = make(tmp_path / "given", causal())
    state = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    names, index = sorted(state), {}
    for number in range(2):
        file = f"model-{number + 1:05}-of-00002.safetensors"
        part = names[number::2]
        index |= dict.fromkeys(part, file)
        save_file({name: state[name] for name in part[number:]}, directory / file, metadata={"format": "pt"})
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    write_sha256sums(directory)
    config = BaseModelConfig(source="path", path=str(directory))
    with pytest.raises(UserError, match=f"it lacks {names[1]}"):
        provide_base_model(config, tmp_path / "base")
    (directory / "model-00002-of-00002.safetensors").unlink()
    write_sha256sums(directory)
    with pytest.raises(UserError, match=r"is incomplete: model-00002-of-00002.safetensors is missing"):
        provide_base_model(config, tmp_path / "base")


def test_tied_weights_and_published_heads_beside_the_own_one_are_no_fault(tmp_path):
    from transformers import BertConfig, BertForPreTraining

    both = make(tmp_path / "both", BertForPreTraining(BertConfig(vocab_size=len(make_tokenizer()), **BERT)))
    plain = make(tmp_path / "plain", causal())
    assert "lm_head.weight" not in load_file(plain / "model.safetensors")
    change(plain, renamed("model.", ""))  # as a model without a head is saved
    for directory, kind in ((both, "masked"), (plain, "causal")):
        write_sha256sums(directory)
        provide_base_model(BaseModelConfig(kind=kind, source="path", path=str(directory)), tmp_path / kind)
        one, other = (load_base_model(tmp_path / kind, CPU).state_dict() for _ in range(2))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_an_encoder_of_bertscore_lacks_nothing_that_is_read(tmp_path):
    directory = make(tmp_path / "bert", make_bert(len(make_tokenizer()), **BERT))
    encoder = Encoder(directory, 1)
    assert encoder.score(["Good"], [["Good"]]).f == pytest.approx([100.0])
    assert len(encoder._tokenizer("<|im_end|>")["input_ids"]) > 1  # text, as everywhere
    change(directory, without("layer.1.output.dense.weight"))
    with pytest.raises(UserError, match=r"it lacks encoder\.layer\.1\.output\.dense\.weight"):
        Encoder(directory, 1)


def test_an_adapter_that_lacks_a_weight_is_refused(tmp_path):
    base = make_directory(tmp_path / "base", **TINY)
    model = add_adapter(load_base_model(base, CPU, training=True), LoraConfig(r=2), CPU)
    save_model(model, load_tokenizer(base), tmp_path / "run", lineage=make_lineage(tmp_path / "run", base))
    load_trained_model(tmp_path / "run", base, CPU)
    path = tmp_path / "run/adapter_model.safetensors"
    save_file(without("layers.1.mlp.up_proj.lora_A.weight")(load_file(path)), path, metadata={"format": "pt"})
    write_sha256sums(tmp_path / "run")
    with pytest.raises(UserError, match=r"run lacks 1 of its weights, such as .*layers\.1\.mlp\.up_proj\.lora_A"):
        load_trained_model(tmp_path / "run", base, CPU)
