import copy
import json
from dataclasses import replace

import pytest
import torch

from pipestill.compression import kernels
from pipestill.compression.footprint import footprint, measure
from pipestill.compression.kernels import use_fast_kernels
from pipestill.compression.masks import Masks
from pipestill.compression.packed import packed_layers
from pipestill.compression.pruning import prune
from pipestill.compression.quantising import convert, prepare_qat
from pipestill.compression.storing import save_quantized
from pipestill.compression.structure import linear_layers
from pipestill.errors import UserError
from pipestill.losses.products import use_faster_products
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_trained_model
from pipestill.settings.compression import Prune, Quantize
from support.compressible import batch, logits, small
from support.models import CPU, make_directory, make_tokenizer

SCHEMES = ("int8", "int4", "int3", "int2", "int8-dynamic")
PAIRS = [*(("qwen2", scheme) for scheme in SCHEMES), *((kind, "int3") for kind in ("llama", "opt", "bert", "t5"))]
PAIRS += [("bert", "int8-dynamic"), ("t5", "int8-dynamic"), ("t5", "int8")]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def here(monkeypatch):
    """Models are measured in this process, and shortly."""
    monkeypatch.setattr("pipestill.compression.footprint.speed", measure)
    for name, value in {"SECONDS": 0, "REPEATED": 1, "DECODED": 2}.items():
        monkeypatch.setattr(f"pipestill.compression.footprint.{name}", value)


def quantised(architecture, scheme, tokenizer, directory, **settings):
    """A model that was converted, and its directory."""
    model = small(architecture, **settings)
    convert(model, Quantize(scheme=scheme, group=32))
    save_quantized(model, tokenizer, directory, lineage={})
    return model, directory


@pytest.mark.parametrize(("architecture", "scheme"), PAIRS)
def test_training_conversion_and_a_plain_load_agree_bit_for_bit(architecture, scheme, tokenizer, tmp_path):
    settings, model = Quantize(scheme=scheme, qat=True), small(architecture)
    rounded = copy.deepcopy(model)
    convert(rounded, settings)  # without training
    before = logits(model)
    prepare_qat(model, settings)
    assert set(model.state_dict()) == set(small(architecture).state_dict())
    assert not torch.equal(logits(model), before)
    assert torch.equal(logits(model), logits(rounded))
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=0.01)
    model(**batch(model)).logits.square().mean().backward()
    optimizer.step()
    trained = logits(model)
    assert not torch.equal(trained, logits(rounded))
    convert(model, settings)
    assert torch.equal(logits(model), trained)
    save_quantized(model, tokenizer, tmp_path / "model", lineage={})
    loaded, found = type(model).from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(found.values())
    assert torch.equal(logits(loaded.eval()), trained)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_files_are_really_smaller(scheme, tokenizer, tmp_path):
    model, directory = quantised("qwen2", scheme, tokenizer, tmp_path / "model", hidden_size=128, intermediate_size=512)
    layers = sum(layer.weight.numel() for layer in linear_layers(model).values())
    rest = sum(tensor.numel() for tensor in model.parameters()) - layers
    bits = {"int8": 8.2, "int4": 5, "int3": 4, "int2": 3, "int8-dynamic": 8.2}[scheme]  # with the scales
    small_parts = 40_000  # biases and norms in float32, shapes, the head of the file
    assert (directory / "model.safetensors").stat().st_size < layers * bits / 8 + rest * 2 + small_parts
    assert {str(packed.values.dtype) for _, packed in packed_layers(directory)} == {"torch.int8"}


def test_what_is_not_quantised_is_stored_in_16_bits_without_loss(tokenizer, tmp_path):
    from safetensors.torch import load_file

    model, directory = quantised("qwen2", "int4", tokenizer, tmp_path / "model")
    stored = load_file(directory / "model.safetensors")
    assert "lm_head.weight" not in stored  # tied
    assert stored["model.embed_tokens.weight"].dtype == torch.bfloat16
    assert torch.equal(stored["model.embed_tokens.weight"].float(), model.model.embed_tokens.weight)
    assert stored["model.norm.weight"].dtype == torch.float32
    assert "quantization_config" not in model.config.to_dict()  # the model in memory stays as it was
    assert json.loads((directory / "config.json").read_text())["dtype"] == "float32"


def test_embeddings_and_heads_stand_still_in_training():
    model = small("llama")
    prepare_qat(model, Quantize(scheme="int2", qat=True))
    frozen = {name for name, tensor in model.named_parameters() if not tensor.requires_grad}
    assert frozen == {"model.embed_tokens.weight", "lm_head.weight"}


def test_zeros_of_a_pruned_model_stay_zeros_when_it_is_quantised(tokenizer, tmp_path):
    model = small("qwen2")
    prune(model, Prune(kind="magnitude"), [])
    places = {name: layer.weight == 0 for name, layer in linear_layers(model).items()}
    prepare_qat(model, Quantize(scheme="int4", qat=True))
    masks = Masks(model)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=0.01)
    model(**batch(model)).logits.square().mean().backward()
    optimizer.step()
    masks.apply()
    convert(model, Quantize(scheme="int4", qat=True))
    save_quantized(model, tokenizer, tmp_path / "model", lineage={})
    for name, packed in packed_layers(tmp_path / "model"):
        assert not packed.values[places[name]].any()


def test_a_model_that_was_loaded_for_speed_can_be_converted():
    model, plain = small("qwen2"), small("qwen2")
    use_faster_products(model)
    for each in (model, plain):
        convert(each, Quantize(scheme="int4"))
    assert torch.equal(logits(model), logits(plain))


@pytest.mark.parametrize(
    ("architecture", "scheme"), [("qwen2", "int3"), ("bert", "int8-dynamic"), ("t5", "int8-dynamic")]
)
def test_jobs_load_quantised_models_in_float32_without_bars(architecture, scheme, tokenizer, tmp_path, capfd):
    model, directory = quantised(architecture, scheme, tokenizer, tmp_path / "model", vocab_size=len(tokenizer))
    capfd.readouterr()
    for plan in (CPU, replace(CPU, precision="bf16", weights="bf16"), replace(CPU, quantization="nf4")):
        loaded = load_base_model(directory, plan)
        assert loaded.dtype == torch.float32
        assert torch.equal(logits(loaded), logits(model))
    assert capfd.readouterr() == ("", "")


def test_a_student_on_disk_is_loaded_as_trained_models_are(tmp_path):
    base = make_directory(tmp_path / "base")
    model = load_base_model(base, CPU)
    convert(model, Quantize(scheme="int4"))
    save_quantized(model, make_tokenizer(), tmp_path / "student", lineage=make_lineage(tmp_path / "student", base))
    loaded = load_trained_model(tmp_path / "student", base, CPU, merge=True)
    assert torch.equal(logits(loaded), logits(model))


def test_weights_in_bf16_are_refused():
    model = small("qwen2").bfloat16()
    for step in (convert, prepare_qat):
        with pytest.raises(UserError, match="weights in bfloat16 cannot be quantised"):
            step(model, Quantize(scheme="int4"))


@pytest.mark.parametrize(("architecture", "rows"), [("qwen2", 1000), ("qwen2", 0), ("t5", 1000)])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_fast_kernels_differ_by_rounding_alone(architecture, rows, scheme, tokenizer, tmp_path, monkeypatch):
    model, directory = quantised(architecture, scheme, tokenizer, tmp_path / "model", vocab_size=len(tokenizer))
    exact, loaded = logits(model), load_base_model(directory, CPU)
    if scheme != "int8-dynamic":
        assert use_fast_kernels(loaded, directory) == 0  # too small to gain
        assert torch.equal(logits(loaded), exact)
    monkeypatch.setattr(kernels, "WEIGHTS", 0)
    monkeypatch.setattr(kernels, "ROWS", rows)
    assert use_fast_kernels(loaded, directory) == len(linear_layers(model))
    difference = float((logits(loaded) - exact).abs().max() / exact.abs().max())
    assert 0 < difference < 0.03


@pytest.mark.parametrize("rows", [1, 3])
def test_inputs_that_8_bits_hold_are_multiplied_exactly(rows, tokenizer, tmp_path):
    directory = quantised("qwen2", "int8-dynamic", tokenizer, tmp_path / "model", vocab_size=len(tokenizer))[1]
    exact, fast = (load_base_model(directory, CPU) for _ in range(2))
    use_fast_kernels(fast, directory)
    inputs = torch.randint(-128, 128, (rows, 64)).float()
    inputs[:, 0], inputs[:, 1] = -128, 127  # the unit is 1
    found, wanted = (model.model.layers[0].mlp.down_proj(inputs[None]) for model in (fast, exact))
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_row_does_not_depend_on_its_neighbours(scheme, tokenizer, tmp_path, monkeypatch):
    directory = quantised("qwen2", scheme, tokenizer, tmp_path / "model", vocab_size=len(tokenizer))[1]
    monkeypatch.setattr(kernels, "WEIGHTS", 0)
    model = load_base_model(directory, CPU)
    use_fast_kernels(model, directory)
    layer = model.model.layers[0].mlp.down_proj
    rows = torch.randn(3, layer.in_features) * torch.tensor([[1.0], [100.0], [0.01]])
    alone = torch.cat([layer(row[None]) for row in rows])
    assert torch.allclose(layer(rows), alone, rtol=1e-2, atol=1e-2 * float(alone[2].abs().max()))
    exact = load_base_model(directory, CPU).model.layers[0].mlp.down_proj
    for number, row in enumerate(rows):
        difference = (alone[number] - exact(row[None])).abs().max() / alone[number].abs().max()
        assert difference < 0.02


def test_models_that_are_not_quantised_have_no_fast_kernels(tmp_path):
    base = make_directory(tmp_path / "base")
    assert use_fast_kernels(load_base_model(base, CPU), base) == 0
    (base / "config.json").unlink()  # as in an adapter
    assert list(packed_layers(base)) == []


def test_what_a_model_takes(tokenizer, tmp_path, here):
    model = small("qwen2", vocab_size=len(tokenizer))
    prune(model, Prune(kind="magnitude"), [])
    convert(model, Quantize(scheme="int4"))
    save_quantized(model, tokenizer, tmp_path / "model", lineage={})
    found = footprint(tmp_path / "model")
    weights = sum(tensor.numel() for tensor in small("qwen2", vocab_size=len(tokenizer)).parameters())
    pruned = sum(layer.weight.numel() for layer in linear_layers(model).values()) // 2
    assert found["parameters"] == weights
    assert found["nonzero_weights"] <= weights - pruned
    assert found["bytes_on_disk"] == (tmp_path / "model" / "model.safetensors").stat().st_size
    assert found["bits_a_weight"] == round(8 * found["bytes_on_disk"] / weights, 2)
    assert found["quantised_layers"] == len(linear_layers(model)) and found["fast_layers"] == 0
    assert found["prefill_tokens_a_second"] > 0 and found["decode_tokens_a_second"] > 0 and found["peak_memory_mb"] > 0


def test_masked_models_write_nothing(tokenizer, tmp_path, here):
    directory = quantised("bert", "int8", tokenizer, tmp_path / "model", max_position_embeddings=128)[1]
    assert footprint(directory)["decode_tokens_a_second"] is None


def test_encoder_decoders_write_behind_what_they_read(tokenizer, tmp_path, here):
    directory = quantised("t5", "int8", tokenizer, tmp_path / "model", vocab_size=len(tokenizer))[1]
    assert footprint(directory)["decode_tokens_a_second"] > 0


def test_a_model_that_cannot_be_measured_is_named(tmp_path):
    base = make_directory(tmp_path / "base")
    (base / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"the speed of .*base cannot be measured: "):
        footprint(base)
