import copy

import pytest
import torch

from pipestill.compression.masks import Masks
from pipestill.compression.pruning import prune
from pipestill.compression.sparse import smallest, two_of_four
from pipestill.compression.structure import feed_forwards, linear_layers
from pipestill.errors import UserError
from pipestill.settings.compression import Prune
from support.compressible import KINDS, batch, logits, small

ZEROS = ("magnitude", "wanda", "2:4")


def wrong(kind, amount):
    with pytest.raises(ValueError) as error:
        Prune(kind=kind, amount=amount)
    return str(error.value)


def share(tensor):
    return 1 - int(tensor.count_nonzero()) / tensor.numel()


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize("kind", ["wanda", "depth", "width"])
def test_a_pruned_model_is_a_plain_one_that_loads_anywhere(architecture, kind, tmp_path):
    model = small(architecture)
    report = prune(model, Prune(kind=kind), [batch(model)])
    model.save_pretrained(tmp_path)
    loaded, found = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(found.values())
    assert torch.equal(logits(loaded.eval()), logits(model))
    after, before = report["parameters"]["after"], report["parameters"]["before"]
    assert after == before if kind in ZEROS else after < before
    assert report["nonzero"]["after"] < report["nonzero"]["before"]
    assert after == sum(tensor.numel() for tensor in loaded.parameters())


@pytest.mark.parametrize("kind", ZEROS)
def test_half_of_each_layer_becomes_zero_and_nothing_else(kind):
    model = small("qwen2")
    before = copy.deepcopy(model.state_dict())
    prune(model, Prune(kind=kind), [batch(model)])
    inside = {f"{name}.weight" for name in linear_layers(model)}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) is (name not in inside)
    for layer in linear_layers(model).values():
        assert share(layer.weight) == 0.5
        if kind == "2:4":
            assert (layer.weight.view(-1, 4).count_nonzero(1) == 2).all()


def test_the_smallest_weights_go():
    measure = torch.tensor([[4.0, 1.0, 3.0, 2.0], [8.0, 7.0, 6.0, 5.0]])
    assert smallest(measure, 0.5).tolist() == [[True] * 4, [False] * 4]
    assert two_of_four(measure).tolist() == [[False, True, False, True], [False, False, True, True]]
    assert int(smallest(torch.zeros(10), 0.3).sum()) == 3  # equal ones too


def test_wanda_weighs_by_inputs():
    model = small("qwen2")
    layer = model.model.layers[0].self_attn.q_proj
    model.model.layers[0].input_layernorm.weight.data[:8] = 1e-6  # what the layer reads there is next to nothing
    prune(model, Prune(kind="wanda", amount=0.25), [batch(model)])
    assert share(layer.weight[:, :8]) == 1
    assert share(layer.weight[:, 8:]) == 0


def test_padding_has_no_part_in_what_is_measured():
    found = []
    for end in (0, 9):
        model, rows = small("qwen2"), batch(small("qwen2"))
        rows["input_ids"] = rows["input_ids"].masked_fill(rows["attention_mask"] == 0, end)
        prune(model, Prune(kind="wanda"), [rows])
        found.append(logits(model))
    assert torch.equal(*found)


@pytest.mark.parametrize("architecture", ["qwen2", "t5"])
def test_the_layers_that_change_least_go(architecture):
    model = small(architecture)
    stack = model.model.layers if architecture == "qwen2" else model.decoder.block
    for name, tensor in stack[1].named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight", "o.weight", "wo.weight")):
            tensor.data.zero_()  # passes its input on
    whole = logits(model)
    report = prune(model, Prune(kind="depth", amount=0.25), [batch(model)])
    assert 1 in next(reversed(report["removed"].values()))
    if architecture == "qwen2":
        assert torch.equal(logits(model), whole)


def test_the_config_tells_the_new_depth():
    types = ["full_attention", "sliding_attention"] * 2
    windows = {"layer_types": types, "max_window_layers": 2, "sliding_window": 4, "use_sliding_window": True}
    model = small("qwen2", **windows)
    removed = prune(model, Prune(kind="depth", amount=0.5), [batch(model)])["removed"]["layers"]
    kept = [number for number in range(4) if number not in removed]
    assert model.config.num_hidden_layers == 2
    assert model.config.layer_types == [types[number] for number in kept]
    assert model.config.max_window_layers == sum(number < 2 for number in kept)


def test_a_model_without_layers_writes_with_its_cache():
    model = small("qwen2")
    prune(model, Prune(kind="depth", amount=0.5), [batch(model)])
    tokens = batch(model)["input_ids"][:1]
    model.generation_config.eos_token_id = None
    cached, plain = (model.generate(tokens, max_new_tokens=5, do_sample=False, use_cache=use) for use in (True, False))
    assert torch.equal(cached, plain)


def test_the_most_active_channels_stay():
    model = small("qwen2")
    part = feed_forwards(model)[0]
    part.into[0].weight.data[::2] *= 1e-3  # half of the channels do next to nothing
    odd = part.into[1].weight.data[1::2].clone()
    report = prune(model, Prune(kind="width", amount=0.5), [batch(model)])
    part = feed_forwards(model)[0]
    assert report["removed"] == part.out.in_features == 32
    assert torch.equal(part.into[1].weight, odd)
    assert model.config.intermediate_size == 32


@pytest.mark.parametrize("masked", [False, True])
def test_zeros_stay_zeros_under_adamw_by_masks_after_each_step_alone(masked):
    model = small("qwen2")
    rows = batch(model)
    for _ in range(2):  # moments of a training before the pruning
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0)
        model(**rows, labels=rows["input_ids"]).loss.backward()
        optimizer.step()
    prune(model, Prune(kind="magnitude"), [])
    masks, layers = Masks(model), linear_layers(model).values()
    assert masks
    for _ in range(3):
        model(**rows, labels=rows["input_ids"]).loss.backward()
        for layer in layers:
            layer.weight.grad[layer.weight == 0] = 0  # masking gradients is not enough
        optimizer.step()
        if masked:
            masks.apply()
    assert all((share(layer.weight) == 0.5) is masked for layer in layers)


def test_a_model_without_zeros_has_no_masks():
    assert not Masks(small("qwen2"))


def test_zeros_of_what_is_not_pruned_are_not_held():
    model = small("llama")
    with torch.no_grad():
        model.lm_head.weight[0] = 0
    assert not Masks(model)


def test_amounts_and_kinds_that_make_no_sense():
    assert "less than 1" in wrong("magnitude", 1.0)
    assert "greater than 0" in wrong("depth", 0.0)
    assert "`kind: 2:4` removes half of the weights" in wrong("2:4", 0.25)
    with pytest.raises(UserError, match="at least one has to go, and one has to stay"):
        prune(small("qwen2"), Prune(kind="depth", amount=0.05), [])
