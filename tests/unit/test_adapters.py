from dataclasses import replace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.models.adapters import add_adapter
from pipestill.models.loading import load_base_model
from pipestill.settings.training import LoraConfig
from support.models import CPU, make_directory

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_directory(tmp_path_factory.mktemp("models") / "base")


def adapted(model):
    return {name.split(".lora_A")[0].split(".")[-1] for name, _ in model.named_parameters() if ".lora_A" in name}


def test_auto_takes_every_linear_layer_but_the_head(base):
    model = add_adapter(load_base_model(base, CPU, training=True), LoraConfig(r=4), CPU)
    assert adapted(model) == set(LINEAR)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, _ in model.named_parameters() if "lora_" in name}
    assert len(trainable) == 2 * len(LINEAR) * 2  # A and B of each in two layers


def test_named_modules_and_biases(base):
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], bias="all")
    model = add_adapter(load_base_model(base, CPU, training=True), lora, CPU)
    assert adapted(model) == {"q_proj", "v_proj"}
    assert any(name.endswith("k_proj.bias") and p.requires_grad for name, p in model.named_parameters())


def test_unknown_module_is_refused(base):
    with pytest.raises(UserError, match=r"training.lora .*no_such_module"):
        add_adapter(load_base_model(base, CPU, training=True), LoraConfig(target_modules=["no_such_module"]), CPU)


def test_the_start_is_seeded_and_changes_nothing(base):
    tokens = torch.arange(12)[None]
    starts = []
    for seed in (1, 1, 2):
        model = load_base_model(base, CPU, training=True)
        with torch.no_grad():
            before = model(tokens).logits
            torch.manual_seed(seed)
            model = add_adapter(model, LoraConfig(r=4), CPU).eval()
            assert torch.equal(model(tokens).logits, before)
        starts.append(next(p.clone() for name, p in model.named_parameters() if "lora_A" in name))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


@pytest.mark.parametrize("plan", [replace(CPU, precision="bf16", weights="bf16"), replace(CPU, quantization="nf4")])
def test_adapters_are_fp32_on_any_base(base, plan):
    model = add_adapter(load_base_model(base, plan, training=True), LoraConfig(r=4), plan)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    if plan.quantization == "nf4":
        assert sum(p.dtype == torch.uint8 for p in model.parameters()) == 2 * len(LINEAR)
        assert {p.dtype for p in model.parameters()} == {torch.float32, torch.uint8}


def test_4bit_training_goes_on_after_an_evaluation(base):
    """A pass without gradients between two steps must change nothing."""
    plan, tokens = replace(CPU, quantization="nf4"), torch.arange(12)[None]
    ends = []
    for evaluate in (True, False):
        torch.manual_seed(0)
        model = add_adapter(load_base_model(base, plan, training=True), LoraConfig(r=4, dropout=0.0), plan)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        for _ in range(2):
            model.train()
            model(tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if evaluate:
                with torch.no_grad():
                    model.eval()(tokens)
        ends.append([p.detach().clone() for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))
