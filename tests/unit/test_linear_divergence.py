"""The fused loss against the plain one (head, cross-entropy and token_divergence, with autograd), and what it promises
about memory, frozen heads, unlabelled rows and precision."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipestill.errors import UserError
from pipestill.losses import IGNORED, products
from pipestill.losses import linear as module
from pipestill.losses.divergences import token_divergence
from pipestill.losses.kinds import KINDS
from pipestill.losses.linear import linear_divergence
from pipestill.losses.targets import HiddenTarget, LogitsTarget

VARIANTS = [(kind, {}) for kind in KINDS] + [("akl", {"order": "descending"}), ("todi", {"stop_gradient": False})]


class Models:
    """Hidden states and heads of both models; every third row has no label."""

    def __init__(self, rows=31, hidden=12, vocab=90, padding=(6, 2), dtype=torch.float32, bias=True):
        draw = torch.Generator().manual_seed(0)

        def normal(*size):
            return torch.randn(*size, generator=draw).to(dtype)

        self.vocab = vocab
        self.hidden = normal(rows, hidden).requires_grad_()
        self.weight = normal(vocab + padding[0], hidden).requires_grad_()
        self.bias = normal(vocab + padding[0]).requires_grad_() if bias else None
        self.labels = torch.randint(0, vocab, (rows,), generator=draw)
        self.labels[::3] = IGNORED
        self.labelled = self.labels != IGNORED
        self.teacher_hidden = normal(int(self.labelled.sum()), hidden + 3)
        self.teacher_weight = normal(vocab + padding[1], hidden + 3)
        self.teacher_bias = normal(vocab + padding[1]) if bias else None

    @property
    def parameters(self):
        return [p for p in (self.hidden, self.weight, self.bias) if p is not None and p.requires_grad]

    def gradients(self, loss):
        return torch.autograd.grad(loss, self.parameters)

    def target(self):
        return HiddenTarget(self.teacher_hidden, self.teacher_weight, self.teacher_bias)

    def teacher_logits(self):
        return linear(self.teacher_hidden, self.teacher_weight, self.teacher_bias)

    def fused(self, kind="todi", target=None, **settings):
        settings = dict(vocab_size=self.vocab, chunk=8, bias=self.bias) | settings
        target = self.target() if target is None else target
        return linear_divergence(kind, self.hidden, self.weight, self.labels, target, **settings)

    def plain(self, kind="todi", kd_rate=0.5, **settings):
        logits = linear(self.hidden, self.weight, self.bias)[self.labelled, : self.vocab]
        on_labels = cross_entropy(logits, self.labels[self.labelled], reduction="sum")
        divergence = token_divergence(kind, logits, self.teacher_logits()[:, : self.vocab], **settings).sum()
        return (1 - kd_rate) * on_labels + kd_rate * divergence, on_labels, divergence


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 2.0, "kd_rate": 0.3}, {"temperature": 2.0, "t_squared": True}]
)
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=lambda value: str(value))
def test_fused_is_plain(kind, options, settings):
    models = Models()
    fused, plain = (way(kind, **settings, **options) for way in (models.fused, models.plain))
    for ours, theirs in zip(fused, plain, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=0, check_dtype=True)
    for ours, theirs in zip(models.gradients(fused.loss), models.gradients(plain[0]), strict=True):
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=lambda value: str(value))
def test_gradient_by_finite_differences(kind, options):
    """In float64, along random directions; what the definition holds constant changes in the second order of `todi`
    and `akl`, so those are left to the oracle of token_divergence."""
    models = Models(rows=9, vocab=20, dtype=torch.float64)
    if kind == "akl" or (kind == "todi" and options.get("stop_gradient", True)):
        plain = models.plain(kind, temperature=1.5, **options)[0]
        expected = models.gradients(plain)
    else:
        expected = None
    gradients = models.gradients(models.fused(kind, temperature=1.5, **options).loss)
    for i, parameter in enumerate(models.parameters):
        if expected:
            torch.testing.assert_close(gradients[i], expected[i], rtol=1e-10, atol=1e-12)
            continue
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i), dtype=parameter.dtype)
        losses = []
        for step in (1e-5, -1e-5):
            parameter.data += step * direction
            losses.append(models.fused(kind, temperature=1.5, **options).loss.item())
            parameter.data -= step * direction
        slope = (losses[0] - losses[1]) / 2e-5
        assert slope == pytest.approx((gradients[i] * direction).sum().item(), rel=1e-6, abs=1e-7)


def test_gradient_is_that_of_what_is_done_with_the_loss():
    """Trainers divide by the tokens of the global batch, with gradient accumulation."""
    models = Models(dtype=torch.float64)
    ours = models.gradients(models.fused().loss / 7)
    torch.testing.assert_close(ours, models.gradients(models.plain()[0] / 7))


def test_sums_do_not_depend_on_micro_batches_or_chunks():
    models = Models(rows=30, dtype=torch.float64)
    whole = models.fused(chunk=100)
    gradients = models.gradients(whole.loss)
    torch.testing.assert_close(models.gradients(models.fused(chunk=1).loss), gradients)
    loss, start = 0, 0
    for rows in (slice(0, 1), slice(1, 20), slice(20, 30)):  # the first has no label at all
        stop = start + int(models.labelled[rows].sum())
        target = HiddenTarget(models.teacher_hidden[start:stop], models.teacher_weight, models.teacher_bias)
        args = models.hidden[rows], models.weight, models.labels[rows], target
        loss = loss + linear_divergence("todi", *args, vocab_size=models.vocab, bias=models.bias).loss
        start = stop
    torch.testing.assert_close(loss, whole.loss)
    torch.testing.assert_close(models.gradients(loss), gradients)


def test_batch_without_labels_is_zero():
    models = Models()
    models.labels[:] = IGNORED
    target = HiddenTarget(models.teacher_hidden[:0], models.teacher_weight)
    sums = models.fused(target=target)
    assert [total.item() for total in sums] == [0.0, 0.0, 0.0]
    for gradient in models.gradients(sums.loss):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_rows_without_a_label_never_reach_a_product(monkeypatch):
    models = Models()
    with torch.no_grad():
        models.hidden[~models.labelled] = math.nan
    rows = []

    def counted(left, right, bias=None, out=None):
        rows.append(len(left))
        return products.product(left, right, bias, out)

    monkeypatch.setattr(module, "product", counted)
    loss = models.fused().loss
    by_hidden, *others = models.gradients(loss)
    assert sum(rows) == 2 * int(models.labelled.sum())  # logits, and the gradient of the hidden states
    assert loss.isfinite()
    assert torch.equal(by_hidden[~models.labelled], torch.zeros_like(by_hidden[~models.labelled]))
    assert all(gradient.isfinite().all() for gradient in others)


def test_frozen_parts_cost_nothing(monkeypatch):
    models = Models()
    expected = models.gradients(models.fused().loss)[0]
    models.weight.requires_grad_(False)
    models.bias.requires_grad_(False)
    monkeypatch.setattr(module, "_add_product", None)  # the head's gradient
    assert torch.equal(models.gradients(models.fused().loss)[0], expected)
    with torch.no_grad(), Largest() as largest:
        models.weight.requires_grad_()
        sums = models.fused()
    assert not sums.loss.requires_grad
    assert largest.numbers < models.weight.numel()


def test_frozen_hidden_states():
    models = Models()
    _, *expected = models.gradients(models.fused().loss)
    models.hidden.requires_grad_(False)
    torch.testing.assert_close(models.gradients(models.fused().loss), tuple(expected))


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that any operation makes."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        known = {
            tensor.untyped_storage().data_ptr() for tensor in tree_leaves((args, kwargs)) if torch.is_tensor(tensor)
        }
        for tensor in tree_leaves(made):
            if torch.is_tensor(tensor) and tensor.untyped_storage().data_ptr() not in known:
                self.numbers = max(self.numbers, tensor.numel())
        return made


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_than_a_chunk_of_logits_exists(kind):
    """Frozen head: what is left is flat in the number of tokens."""
    models = Models(rows=120, hidden=2, vocab=1000, padding=(0, 0))
    models.weight.requires_grad_(False)
    models.bias.requires_grad_(False)
    target = models.target()
    with Largest() as largest:
        models.gradients(models.fused(kind, target=target, chunk=4).loss)
    assert 0 < largest.numbers <= 4 * models.vocab
    with Largest() as largest:
        models.plain(kind)
    assert largest.numbers >= int(models.labelled.sum()) * models.vocab  # the measure sees what it should


def test_padding_of_heads_is_cut_before_the_softmax():
    models = Models()
    expected = models.fused()
    with torch.no_grad():
        models.weight[models.vocab :] = 50  # would take all probability
        models.teacher_weight[models.vocab :] = -50
        models.bias[models.vocab :] = 1e4
    sums = models.fused()
    assert torch.equal(sums.loss, expected.loss)
    _, by_weight, by_bias = models.gradients(sums.loss)
    assert by_weight.shape == models.weight.shape
    assert torch.equal(by_weight[models.vocab :], torch.zeros_like(by_weight[models.vocab :]))
    assert torch.equal(by_bias[models.vocab :], torch.zeros_like(by_bias[models.vocab :]))


def test_logits_as_target():
    models = Models(dtype=torch.float64)
    expected = models.fused()
    logits = models.teacher_logits()
    for given in (logits, logits[:, : models.vocab].log_softmax(-1)):
        copy = given.clone()
        torch.testing.assert_close(models.fused(target=LogitsTarget(given)), expected)
        assert torch.equal(given, copy)


def test_targets_write_the_gradient_over_given_logits():
    models = Models(dtype=torch.float64)
    rows = slice(3, 9)
    student = torch.randn(6, models.vocab, dtype=torch.float64, requires_grad=True)
    values = token_divergence("jsd", student, models.teacher_logits()[rows, : models.vocab], temperature=2.0)
    for target in (models.target(), LogitsTarget(models.teacher_logits())):
        logits = student.detach().clone()
        ours, gradient = target.loss_and_gradient("jsd", logits, rows, temperature=2.0)
        torch.testing.assert_close(ours, values.detach())
        torch.testing.assert_close(gradient, torch.autograd.grad(values.sum(), student, retain_graph=True)[0])
        assert gradient is logits


def test_any_target_with_the_protocol_will_do():
    """It gets rows that line up with its own, and may overwrite the logits."""
    models = Models(dtype=torch.float64)
    teacher = models.teacher_logits()[:, : models.vocab]

    class Squares:
        def __len__(self):
            return len(teacher)

        def loss_and_gradient(self, kind, logits, rows, *, temperature, t_squared, scale):
            assert (kind, temperature, t_squared) == ("squares", 2.0, True)
            difference = logits.sub_(teacher[rows])
            return scale * difference.square().sum(-1), difference.mul_(2 * scale)

    sums = models.fused("squares", target=Squares(), temperature=2.0, t_squared=True, scale=3, kd_rate=0.25)
    logits = linear(models.hidden, models.weight, models.bias)[models.labelled, : models.vocab]
    squares = 3 * (logits - teacher).square().sum()
    on_labels = cross_entropy(logits, models.labels[models.labelled], reduction="sum")
    loss = 0.75 * on_labels + 0.25 * squares
    torch.testing.assert_close(tuple(sums), (loss, on_labels, squares))
    torch.testing.assert_close(models.gradients(sums.loss), models.gradients(loss))


def test_inputs_are_not_written():
    models = Models()
    tensors = [models.hidden, models.weight, models.bias, models.labels, models.teacher_hidden, models.teacher_weight]
    copies = [tensor.detach().clone() for tensor in tensors]
    models.gradients(models.fused().loss)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, copies, strict=True))


def test_head_s_gradient_is_summed_in_float32():
    """One label for all tokens: in bfloat16 a sum of many equal terms stops growing."""
    models = Models(rows=3000, hidden=4, vocab=16, padding=(0, 0), dtype=torch.bfloat16)
    models.labels[:] = torch.where(models.labelled, 5, IGNORED)
    with torch.no_grad():
        models.hidden[:] = 1
    _, by_weight, by_bias = models.gradients(models.fused(chunk=2).loss)
    assert by_weight.dtype == torch.bfloat16
    exact = Models(rows=3000, hidden=4, vocab=16, padding=(0, 0), dtype=torch.bfloat16)
    for name in ("hidden", "weight", "bias", "teacher_hidden", "teacher_weight", "teacher_bias"):
        setattr(
            exact, name, getattr(models, name).detach().double().requires_grad_(name in ("hidden", "weight", "bias"))
        )
    exact.labels = models.labels
    _, *expected = exact.gradients(exact.fused().loss)
    for ours, theirs in zip((by_weight, by_bias), expected, strict=True):
        assert (ours - theirs).abs().max() < 0.01 * theirs.abs().max()


def test_half_precision():
    models = Models(hidden=32, dtype=torch.bfloat16)
    fused = models.fused()
    assert fused.loss.dtype == torch.float32
    plain = models.plain()
    torch.testing.assert_close(fused.divergence, plain[2].detach(), rtol=1e-5, atol=0)
    for ours, theirs in zip(models.gradients(fused.loss), models.gradients(plain[0]), strict=True):
        assert (ours - theirs).abs().max() < 0.02 * theirs.abs().max()


def test_autocast_works_in_its_type_and_returns_the_parameters_type():
    models = Models(hidden=32, bias=False)
    with torch.autocast("cpu", torch.bfloat16):
        fused = models.fused()
        plain = models.plain()
    torch.testing.assert_close(fused.divergence, plain[2].detach(), rtol=1e-3, atol=0)
    assert not torch.equal(fused.divergence, models.fused().divergence)
    for ours, theirs in zip(models.gradients(fused.loss), models.gradients(plain[0]), strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() < 0.02 * theirs.abs().max()


def test_second_backward_is_refused_because_the_first_scaled_in_place():
    loss = Models().fused().loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_both_products_agree(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    left, right, bias = (torch.randn(*size, generator=draw) for size in ((7, 33), (50, 33), (50,)))
    exact = left.double() @ right.double().t()
    for linear_of in (products.onednn_linear, None):
        monkeypatch.setattr(products, "faster_linear", lambda linear_of=linear_of: linear_of)
        torch.testing.assert_close(products.product(left, right).double(), exact, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(products.product(left, right, bias).double(), exact + bias, rtol=1e-5, atol=1e-5)
        transposed = products.product(bias[None], right.t())  # a view
        torch.testing.assert_close(transposed.double(), bias.double()[None] @ right.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "options"), [v for v in VARIANTS if v[0] != "akl"], ids=lambda value: str(value))
def test_the_step_that_a_gpu_compiles_gives_the_same(kind, options, monkeypatch):
    """torch traces it as a whole and runs it as always: machine code, which takes 14 s, is not made."""
    torch._dynamo.reset()
    models = Models(rows=12)
    eager = models.fused(kind, **options)
    expected = models.gradients(eager.loss)
    traced = torch.compile(module._dense_step, backend="eager", fullgraph=True)
    monkeypatch.setattr(module, "_dense_step", traced)
    compiled = models.fused(kind, **options)
    torch.testing.assert_close(tuple(compiled), tuple(eager), rtol=1e-5, atol=0)
    for ours, theirs in zip(models.gradients(compiled.loss), expected, strict=True):
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kd_rate": 1.5}, "kd_rate must be a number from 0 to 1, not 1.5"),
        ({"temperature": 0}, "temperature"),
        ({"vocab_size": 97}, "vocabulary of 97 does not fit"),
        ({"vocab_size": 40}, "vocabulary of 40 does not fit the labels"),
        ({"vocab_size": 96}, "teacher's logits have 92 entries"),
        ({"kind": "kl"}, "no divergence 'kl'"),
        ({"lam": 0.5}, "Option 'lam' of the divergence todi"),
    ],
)
def test_mistakes_are_named(settings, words):
    with pytest.raises(UserError, match=words):
        Models().fused(**settings)


def test_target_of_other_tokens_is_refused():
    models = Models()
    target = HiddenTarget(models.teacher_hidden[1:], models.teacher_weight)
    with pytest.raises(UserError, match="20 labelled tokens, but the teacher's side has 19"):
        models.fused(target=target)
