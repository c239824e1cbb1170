"""Divergences over classes against plain float64 autograd and finite differences."""

import pytest
import torch

from pipestill.losses.classes import LabelsTarget, likeliest
from pipestill.losses.divergences import token_divergence
from pipestill.losses.kinds import KINDS
from pipestill.losses.linear import linear_divergence
from pipestill.losses.sparse import BucketTarget, sparse_divergence
from support.tensors import bins, by_autograd

IDS, VOCAB = torch.tensor([7, 2, 30]), 40
FIRST, TOKENS = torch.tensor([0, 2, 5]), 7  # answers of two, three and two tokens


def draw():
    """Student logits [tokens, vocab] and the teacher's [answers, vocab] in float64."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(size, VOCAB, generator=generator, dtype=torch.float64) * 2 for size in (TOKENS, len(FIRST)))


def make_target(teacher, temperature=1.0, rest=False):
    log_p = (teacher / temperature).log_softmax(1)
    ids = IDS.expand(len(FIRST), -1)
    return LabelsTarget(IDS, FIRST, TOKENS, log_p[:, IDS], bins(log_p, ids)[:, -1] if rest else None)


def outcomes(logits, rest):
    """Log-probabilities of the labels alone, or of the labels and all other tokens together, by autograd."""
    if not rest:
        return logits[:, IDS].log_softmax(1)
    return bins(logits.log_softmax(1), IDS.expand(len(logits), -1))


@pytest.mark.parametrize("rest", [False, True], ids=["labels", "labels-and-rest"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_value_and_gradient_of_its_outcomes(kind, temperature, rest):
    student, teacher = draw()

    def expected(z):
        values = z.new_zeros(TOKENS)
        q, p = (outcomes(each / temperature, rest) for each in (z[FIRST], teacher))
        return values.index_put((FIRST,), token_divergence(kind, q, p))

    target = make_target(teacher, temperature, rest)
    ours = by_autograd(lambda z: sparse_divergence(kind, z, target, temperature=temperature), student)
    for one, other in zip(ours, by_autograd(expected, student), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rest", [False, True], ids=["labels", "labels-and-rest"])
def test_forward_divergence_by_its_definition_and_by_finite_differences(rest):
    student, teacher = draw()

    def plain(z):
        q, p = outcomes(z[FIRST] / 2, rest), outcomes(teacher / 2, rest)
        return 4 * (p.exp() * (p - q)).sum(1)

    target = make_target(teacher, 2.0, rest)
    values, gradient = target.loss_and_gradient(
        "fkl", student.clone(), slice(0, TOKENS), temperature=2.0, t_squared=True
    )
    torch.testing.assert_close(values[FIRST], plain(student))
    assert values.count_nonzero() == gradient.any(1).sum() == len(FIRST)  # other tokens are not compared
    step = 1e-6
    for token, index in ((0, 7), (0, 3), (2, 2), (5, 30), (5, 0), (1, 7)):
        moved = [student.clone(), student.clone()]
        moved[0][token, index] += step
        moved[1][token, index] -= step
        slope = (plain(moved[0]).sum() - plain(moved[1]).sum()) / (2 * step)
        assert float(gradient[token, index]) == pytest.approx(float(slope), abs=1e-8)


@pytest.mark.parametrize("kind", ["fkl", "rkl", "jsd", "tvd"])
def test_it_is_zero_if_and_only_if_the_labels_are_equally_likely(kind):
    _, teacher = draw()
    student = torch.zeros(TOKENS, VOCAB, dtype=torch.float64)
    student[FIRST] = teacher
    other = [index for index in range(VOCAB) if index not in IDS]
    student[FIRST[0], IDS] += 3.0  # more mass on the labels together, the same among them
    student[FIRST[1], other] = student[FIRST[1], other].flip(0)  # the rest spread in another way
    student[FIRST[2], 7] += 1e-2
    values = [
        make_target(teacher, rest=rest).loss_and_gradient(kind, student.clone(), slice(0, TOKENS))[0][FIRST]
        for rest in (False, True)
    ]
    zero = torch.stack(values) < 1e-12
    assert zero.tolist() == [[True, True, False], [False, True, False]]


def test_any_slice_of_tokens_has_its_part_of_values_and_gradient():
    student, teacher = draw()
    target = make_target(teacher, rest=True)
    whole = target.loss_and_gradient("jsd", student.clone(), slice(0, TOKENS))
    parts = [
        target.loss_and_gradient("jsd", student[rows].clone(), rows)
        for rows in (slice(0, 1), slice(1, 2), slice(2, 5), slice(5, 7))
    ]
    for one, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(pieces), one)


def test_the_fused_loss_takes_it_with_cross_entropy_on_every_token():
    student, teacher = draw()
    hidden, head = student[:, :8].clone().requires_grad_(True), torch.eye(VOCAB, 8, dtype=torch.float64)
    labels = torch.tensor([7, 1, 2, 4, 1, 30, 1])
    losses = linear_divergence("fkl", hidden, head, labels, make_target(teacher), kd_rate=0.25)
    losses.loss.backward()
    again = student[:, :8].clone().requires_grad_(True)
    logits = again @ head.T
    cross_entropy = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    p, q = outcomes(teacher, False), outcomes(logits[FIRST], False)
    divergence = (p.exp() * (p - q)).sum()
    (0.75 * cross_entropy + 0.25 * divergence).backward()
    torch.testing.assert_close(losses.divergence, divergence.detach())
    torch.testing.assert_close(hidden.grad, again.grad)


def test_stored_tokens_bound_the_whole_divergence_from_below_and_reach_it_with_the_last_but_one():
    generator = torch.Generator().manual_seed(3)
    student, teacher = (torch.randn(5, VOCAB, generator=generator, dtype=torch.float64) * 2 for _ in range(2))
    log_p = teacher.log_softmax(1)
    found = []
    for k in range(1, VOCAB):
        ids = log_p.topk(k).indices.sort(1).values
        binned = bins(log_p, ids)
        found.append(sparse_divergence("fkl", student, BucketTarget(ids, binned[:, :-1], binned[:, -1])))
    rising = torch.stack(found)
    assert (rising.diff(dim=0) >= -1e-12).all()
    torch.testing.assert_close(rising[-1], token_divergence("fkl", student, teacher))
    assert (rising[0] < 0.9 * rising[-1]).all()


def test_likeliest_of_all_or_of_some_tokens():
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0], [5.0, 0.0, 2.0, 1.0]])
    assert likeliest(logits, None).tolist() == [1, 0]
    assert likeliest(logits, [3, 2]).tolist() == [3, 2]
