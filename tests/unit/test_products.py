"""Products by the faster library against torch's own, in values and gradients, on machines that prefer either."""

import pytest
import torch

from pipestill.losses import products
from pipestill.losses.products import ROWS, FasterLinear, use_faster_products
from pipestill.models.hardware import HardwarePlan
from pipestill.models.loading import load_base_model
from support.models import make_directory_of, make_model, make_tokenizer


@pytest.fixture
def fast(monkeypatch):
    """A machine where the library is the faster one."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch is built without oneDNN")
    monkeypatch.setattr(products, "faster_linear", lambda: products.onednn_linear)


@pytest.mark.parametrize("shape", [(ROWS, 7), (2, ROWS, 7), (1, 1, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_float64(shape, bias, fast):
    torch.manual_seed(1)
    layer = torch.nn.Linear(7, 4, bias=bias)
    exact = torch.nn.Linear(7, 4, bias=bias).double()
    exact.load_state_dict(layer.state_dict())
    layer.__class__ = FasterLinear
    inputs, upstream = torch.randn(shape), torch.randn(*shape[:-1], 4)
    ours, theirs = inputs.clone().requires_grad_(), inputs.double().requires_grad_()
    (layer(ours) * upstream).sum().backward()
    (exact(theirs) * upstream.double()).sum().backward()
    assert torch.allclose(layer(inputs).double(), exact(inputs.double()), atol=1e-6)
    assert torch.allclose(ours.grad.double(), theirs.grad, atol=1e-6)
    for mine, other in zip(layer.parameters(), exact.parameters(), strict=True):
        assert torch.allclose(mine.grad.double(), other.grad, atol=1e-6)


def test_a_frozen_layer_gets_no_gradient_and_passes_one_on(fast):
    layer = torch.nn.Linear(7, 4).requires_grad_(False)
    layer.__class__ = FasterLinear
    inputs = torch.randn(ROWS, 7, requires_grad=True)
    layer(inputs).sum().backward()
    assert layer.weight.grad is None and torch.allclose(inputs.grad, layer.weight.sum(0).expand(ROWS, 7), atol=1e-6)


def test_few_rows_are_left_to_torch(monkeypatch, fast):
    calls = []
    monkeypatch.setattr(products, "onednn_linear", lambda *product: calls.append(len(product[0])) or product[0][:, :4])
    layer, plain = torch.nn.Linear(7, 4), torch.nn.Linear(7, 4)
    plain.load_state_dict(layer.state_dict())
    layer.__class__ = FasterLinear
    inputs = torch.randn(3, ROWS // 3, 7)
    assert torch.equal(layer(inputs), plain(inputs)) and not calls
    layer(torch.randn(4, ROWS // 4, 7))
    assert calls == [ROWS]


def test_other_types_are_left_to_torch():
    layer, plain = torch.nn.Linear(7, 4), torch.nn.Linear(7, 4)
    plain.load_state_dict(layer.state_dict())
    layer.__class__ = FasterLinear
    inputs = torch.randn(ROWS, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(inputs), plain(inputs))
    assert torch.equal(layer.double()(inputs.double()), plain.double()(inputs.double()))


def test_a_loaded_model_says_and_learns_the_same(tmp_path, fast):
    directory = make_directory_of("causal", tmp_path / "model")
    model = load_base_model(directory, HardwarePlan("cpu"), training=True)
    changed = [name for name, module in model.named_modules() if isinstance(module, FasterLinear)]
    assert changed and not any("lm_head" in name for name in changed)
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    ids = torch.randint(5, len(make_tokenizer()), (2, ROWS), generator=torch.Generator().manual_seed(1))
    losses = [each.eval()(input_ids=ids, labels=ids).loss for each in (model, plain)]
    assert torch.allclose(*losses, rtol=1e-6)
    for loss in losses:
        loss.backward()
    for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-6)


def test_nothing_changes_where_torch_is_as_fast(monkeypatch):
    monkeypatch.setattr(products, "faster_linear", lambda: None)
    model = make_model(len(make_tokenizer()))
    use_faster_products(model)
    assert not any(isinstance(module, FasterLinear) for module in model.modules())
