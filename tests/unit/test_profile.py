from dataclasses import replace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.models.adapters import add_adapter
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.profile import check_gradients, profile
from pipestill.settings.training import LoraConfig
from support.models import CPU, make_batch, make_directory

NF4 = replace(CPU, quantization="nf4")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("models") / "base")


def adapter(base, plan=CPU, dropout=0.3):
    torch.manual_seed(0)
    model = load_base_model(base, plan, training=True)
    return add_adapter(model, LoraConfig(r=4, dropout=dropout), plan)


def state_bytes(optimizer):
    """Bytes of an optimizer's moments, with their scales but without step counts and shared lookup tables."""
    names = ("exp_avg", "exp_avg_sq", "state1", "state2", "absmax1", "absmax2")
    return sum(
        s[name].numel() * s[name].element_size() for s in optimizer.state.values() for name in names if name in s
    )


def test_counts_by_hand(base):
    hidden, ffn, keys, layers = 64, 96, 32, 2
    tokenizer = load_tokenizer(base)
    linear = layers * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * ffn)
    biases = layers * (hidden + 2 * keys)
    norms = (2 * layers + 1) * hidden
    total = len(tokenizer) * hidden + linear + biases + norms  # the head is tied to the embeddings: counted once
    full = profile(load_base_model(base, CPU, training=True), CPU)
    assert full["total_parameters"] == full["trainable_parameters"] == total
    assert full["parameter_bytes"] == {"float32": 4 * total} and full["quantised_layers"] == 0
    lora = layers * 4 * (2 * 2 * hidden + 2 * (hidden + keys) + 3 * (hidden + ffn))
    tuned = profile(adapter(base), CPU)
    assert tuned["trainable_parameters"] == lora and tuned["total_parameters"] == total + lora
    quantised = profile(adapter(base, NF4), NF4)
    assert quantised["total_parameters"] == total + lora and quantised["quantised_layers"] == 7 * layers
    assert quantised["parameter_bytes"]["uint8"] == linear // 2


def test_optimizer_estimate_against_real_ones(base):
    import bitsandbytes

    model = load_base_model(base, CPU, training=True)
    batch = make_batch(load_tokenizer(base))
    estimate = profile(model, CPU)["estimated_optimizer_bytes"]
    for name, kind in (("adamw_torch_fused", torch.optim.AdamW), ("paged_adamw_8bit", bitsandbytes.optim.AdamW8bit)):
        optimizer = kind(model.parameters(), lr=1e-4)
        model(**batch).loss.backward()
        optimizer.step()
        assert estimate[name] == state_bytes(optimizer)


@pytest.mark.parametrize("plan", [CPU, NF4], ids=["fp32", "nf4"])
def test_a_fresh_adapter_passes(base, plan):
    model = adapter(base, plan)
    tokenizer = load_tokenizer(base)
    report = check_gradients(model, make_batch(tokenizer))
    assert report["supervised_tokens"] == 2 * (len(tokenizer.encode("Good")) + 1)
    assert report["trainable_tensors"] == 28 and report["nonzero_gradients"] == 14  # B is zero, so A gets nothing yet
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_check_leaves_no_trace(base):
    """Training after the check is bit-identical to training without it; dropout makes every draw count."""
    batch = make_batch(load_tokenizer(base))
    ends = []
    for check in (True, False):
        model = adapter(base)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        torch.manual_seed(7)
        model.eval()
        if check:
            check_gradients(model, batch)
            assert not model.training
        model.train()
        for _ in range(3):
            model(**batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        ends.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


def test_a_loss_of_ones_own(base):
    model = adapter(base)
    report = check_gradients(model, make_batch(load_tokenizer(base)), lambda m, b: 2 * m(**b).loss)
    plain = check_gradients(model, make_batch(load_tokenizer(base)))
    assert report["loss"] == pytest.approx(2 * plain["loss"])


def test_what_it_catches(base):
    batch = make_batch(load_tokenizer(base))
    model = adapter(base)
    with pytest.raises(UserError, match="no token to learn"):
        check_gradients(model, batch | {"labels": torch.full_like(batch["labels"], -100)})
    with pytest.raises(UserError, match="not finite"):
        check_gradients(model, batch, lambda m, b: m(**b).loss * float("nan"))
    with pytest.raises(UserError, match="would never move"):
        check_gradients(model, batch, lambda m, b: m(**b).loss * 0)
    mlp = model.get_base_model().model.layers[0].mlp
    with pytest.raises(UserError, match=r"q_proj.lora_A.* and 21 more is missing"):
        check_gradients(model, batch, lambda m, b: mlp(m.get_input_embeddings()(b["input_ids"])).sum())
    frozen = next(p for p in model.parameters() if not p.requires_grad)
    frozen.grad = torch.zeros_like(frozen)
    with pytest.raises(UserError, match="frozen"):
        check_gradients(model, batch)
    assert all(parameter.grad is None for parameter in model.parameters())
    model.requires_grad_(False)
    with pytest.raises(UserError, match="no parameter of the model is trainable"):
        check_gradients(model, batch)
