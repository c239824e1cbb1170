"""The universal logit distance against its definition in NumPy, and as a part of the fused loss."""

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn.functional import cross_entropy, linear

from pipestill.errors import UserError
from pipestill.losses import IGNORED
from pipestill.losses.linear import linear_divergence
from pipestill.losses.universal_logit import UniversalTarget, pair_positions, universal_logit_distance

SIZES = [(13, 20), (20, 13), (15, 15)]  # vocabularies of student and teacher


def definition(student, teacher, temperature):
    """Of one token: sort, fill up with zeros, add the gaps up."""
    p, q = (np.sort(softmax(logits / temperature))[::-1] for logits in (teacher, student))
    size = max(len(p), len(q))
    return np.abs(np.pad(p, (0, size - len(p))) - np.pad(q, (0, size - len(q)))).sum()


def draw_logits(student, teacher, tokens=4):
    draw = np.random.default_rng(0)
    return 2 * draw.normal(size=(tokens, student)), 2 * draw.normal(size=(tokens, teacher))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("sizes", SIZES)
def test_definition_and_finite_differences(sizes, temperature):
    student, teacher = draw_logits(*sizes)
    logits = torch.as_tensor(student).requires_grad_()
    values = universal_logit_distance(logits, torch.as_tensor(teacher), temperature=temperature)
    expected = [definition(*rows, temperature) for rows in zip(student, teacher, strict=True)]
    np.testing.assert_allclose(values.detach(), expected, rtol=1e-12)
    teacher = torch.as_tensor(teacher)
    assert torch.autograd.gradcheck(lambda z: universal_logit_distance(z, teacher, temperature=temperature), (logits,))


def test_which_token_is_which_does_not_matter():
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), requires_grad=True)
    values = universal_logit_distance(logits, logits.detach()[:, torch.randperm(50)])
    torch.testing.assert_close(values, torch.zeros(3), rtol=0, atol=1e-6)
    values.sum().backward()
    assert logits.grad.isfinite().all()


def test_excluded_tokens_have_no_probability():
    student, teacher = (torch.as_tensor(logits) for logits in draw_logits(13, 20))
    student[:, 3] = teacher[:, 5] = -math.inf
    values = universal_logit_distance(student.requires_grad_(), teacher)
    rest = [i for i in range(13) if i != 3], [i for i in range(20) if i != 5]
    torch.testing.assert_close(values, universal_logit_distance(student[:, rest[0]], teacher[:, rest[1]]))
    values.sum().backward()
    assert student.grad.isfinite().all()


def test_positions_are_paired_from_the_start_of_each_answer():
    assert pair_positions([3, 1, 0, 2], [2, 4, 1, 2]).tolist() == [0, 1, -1, 2, 7, 8]
    assert pair_positions([], []).tolist() == []


@pytest.mark.parametrize("t_squared", [False, True])
def test_fused_loss(t_squared, monkeypatch):
    """Student's tokens without a partner have a cross-entropy only; heads of both are padded."""
    monkeypatch.setattr("pipestill.losses.universal_logit.CHUNK", 3)
    monkeypatch.setattr("pipestill.losses.divergences.CPU_BLOCK", 2 * 30)
    draw = torch.Generator().manual_seed(0)

    def normal(*size):
        return torch.randn(*size, generator=draw, dtype=torch.float64)

    hidden, weight = normal(12, 5).requires_grad_(), normal(34, 5).requires_grad_()
    teacher_hidden, teacher_weight, teacher_bias = normal(9, 6), normal(44, 6), normal(44)
    labels = torch.randint(0, 30, (12,), generator=draw)
    labels[[0, 7]] = IGNORED
    pairs = pair_positions([6, 4], [4, 5])
    target = UniversalTarget(teacher_hidden, teacher_weight, pairs, teacher_bias, vocab_size=40)
    sums = linear_divergence(
        "uld", hidden, weight, labels, target, vocab_size=30, temperature=2.0, t_squared=t_squared, chunk=5
    )
    own = linear(hidden, weight)[labels != IGNORED, :30]
    others = linear(teacher_hidden, teacher_weight, teacher_bias)[:, :40]
    paired = [0, 1, 2, 3, 6, 7, 8, 9]
    distance = universal_logit_distance(own[paired], others[[0, 1, 2, 3, 4, 5, 6, 7]], temperature=2.0).sum()
    distance = distance * (4 if t_squared else 1)
    on_labels = cross_entropy(own, labels[labels != IGNORED], reduction="sum")
    loss = (on_labels + distance) / 2
    torch.testing.assert_close(tuple(sums), (loss, on_labels, distance))
    parameters = hidden, weight
    torch.testing.assert_close(torch.autograd.grad(sums.loss, parameters), torch.autograd.grad(loss, parameters))


def test_mistakes_are_named():
    with pytest.raises(UserError, match="as many tokens of the student"):
        universal_logit_distance(torch.zeros(2, 5), torch.zeros(3, 5))
    with pytest.raises(UserError, match="temperature"):
        universal_logit_distance(torch.zeros(2, 5), torch.zeros(2, 5), temperature=0)
    target = UniversalTarget(torch.zeros(1, 4), torch.zeros(5, 4), torch.tensor([0]))
    with pytest.raises(UserError, match="have the divergence uld, without options, not 'fkl'"):
        linear_divergence("fkl", torch.zeros(1, 4), torch.zeros(6, 4), torch.tensor([2]), target)
