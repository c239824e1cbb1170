"""Divergences from stored distributions against plain float64 autograd."""

import math

import pytest
import torch

from pipestill.errors import UserError
from pipestill.losses.divergences import token_divergence
from pipestill.losses.kinds import KINDS
from pipestill.losses.sparse import BucketTarget, SampledTarget, UnigramTarget, sparse_divergence
from support.tensors import bins, by_autograd

TOKENS, VOCAB, K = 7, 60, 5


def plain(kind, log_p, log_q):
    """The published definitions, written down naively."""
    p, q = log_p.exp(), log_q.exp()
    if kind == "fkl":
        entries = p * (log_p - log_q)
    elif kind == "rkl":
        entries = q * (log_q - log_p)
    elif kind == "jsd":
        m = ((p + q) / 2).log()
        entries = (p * (log_p - m) + q * (log_q - m)) / 2
    else:
        weight = torch.sigmoid(log_p - log_q).detach()
        entries = weight * p * (log_p - log_q) + (1 - weight) * q * (log_q - log_p)
    return entries.sum(1)


def draw(dtype=torch.float64, scale=2.0):
    """Student logits, and log-probabilities of a teacher."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(TOKENS, VOCAB, generator=generator, dtype=torch.float64) * scale for _ in range(2))
    return student.to(dtype), teacher.log_softmax(1).to(dtype)


def top(log_p, k=K):
    """What is stored: ids, their log-probabilities, log of the tail's mass."""
    ids = log_p.topk(k).indices.sort(1).values
    return ids, log_p.gather(1, ids), log_p.exp().scatter(1, ids, 0.0).sum(1).log()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["fkl", "rkl", "jsd", "todi"])
def test_bucket_is_the_divergence_of_k_and_one_outcomes(kind, temperature):
    student, log_p = draw()
    ids, log_probs, tail = top(log_p)
    expected = by_autograd(
        lambda z: plain(kind, bins(log_p, ids), bins((z / temperature).log_softmax(1), ids)), student
    )
    target = BucketTarget(ids, log_probs, tail)
    ours = by_autograd(lambda z: sparse_divergence(kind, z, target, temperature=temperature), student)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_the_gradient_of_its_bins(kind):
    """Of kinds without a plain form here: the library's dense divergence, of the same k + 1 outcomes as logits."""
    student, log_p = draw()
    ids, log_probs, tail = top(log_p)
    teacher = torch.cat([log_probs, tail[:, None]], 1)
    expected = by_autograd(lambda z: token_divergence(kind, bins(z.log_softmax(1), ids), teacher), student)
    ours = by_autograd(lambda z: sparse_divergence(kind, z, BucketTarget(ids, log_probs, tail)), student)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["fkl", "rkl", "jsd", "todi"])
def test_unigram_tail_is_the_dense_divergence_from_the_spread_distribution(kind, temperature):
    student, log_p = draw()
    ids, log_probs, tail = top(log_p)
    prior = torch.randn(VOCAB, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).softmax(0)
    spread = torch.empty_like(log_p)
    for token in range(TOKENS):
        left = [index for index in range(VOCAB) if index not in ids[token]]
        spread[token, left] = (prior[left] / prior[left].sum() * tail[token].exp()).log()
        spread[token, ids[token]] = log_probs[token]
    assert torch.allclose(spread.exp().sum(1), torch.ones(TOKENS, dtype=torch.float64))
    expected = by_autograd(lambda z: plain(kind, spread, (z / temperature).log_softmax(1)), student)
    target = UnigramTarget(ids, log_probs, tail, prior.log(), temperature)
    ours = by_autograd(lambda z: sparse_divergence(kind, z, target, temperature=temperature), student)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["fkl", "todi"])
@pytest.mark.parametrize("unigram", [False, True])
def test_temperature_squared_scales_value_and_gradient(kind, unigram):
    student, log_p = draw()
    prior = torch.full((VOCAB,), -math.log(VOCAB))
    target = UnigramTarget(*top(log_p), prior, 2.0) if unigram else BucketTarget(*top(log_p))
    without = by_autograd(lambda z: sparse_divergence(kind, z, target, temperature=2.0), student)
    scaled = by_autograd(lambda z: sparse_divergence(kind, z, target, temperature=2.0, t_squared=True), student)
    for one, other in zip(scaled, without, strict=True):
        torch.testing.assert_close(one, 4 * other)


def test_all_tokens_but_one_stored_is_the_dense_divergence():
    student, log_p = draw()
    target = BucketTarget(*top(log_p, VOCAB - 1))
    ours = by_autograd(lambda z: sparse_divergence("todi", z, target), student)
    dense = by_autograd(lambda z: plain("todi", log_p, z.log_softmax(1)), student)
    for one, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_tail_of_a_millionth_keeps_its_digits_in_float32():
    """1 minus the mass of the k tokens would be noise here; the gradient of the tail's tokens hangs on it."""
    student, log_p = draw(scale=1.0)
    ids, log_probs, _ = top(log_p)
    student.scatter_add_(1, ids, torch.full_like(log_probs, 16.0))
    tail = torch.full((TOKENS,), -9.0, dtype=torch.float64)
    log_probs = log_probs - log_probs.logsumexp(1, keepdim=True) + math.log1p(-math.exp(-9))
    exact = by_autograd(lambda z: sparse_divergence("fkl", z, BucketTarget(ids, log_probs, tail)), student)
    single = BucketTarget(ids, log_probs.float(), tail.float())
    ours = by_autograd(lambda z: sparse_divergence("fkl", z, single), student.float())
    left = torch.ones_like(student, dtype=torch.bool).scatter(1, ids, False)
    assert (ours[1] / exact[1] - 1)[left].abs().max() < 1e-5


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_student_without_any_tail_has_a_finite_gradient(kind):
    student, log_p = draw(torch.float32)
    ids, log_probs, tail = top(log_p)
    student.scatter_add_(1, ids, torch.full_like(log_probs, 300.0))
    values, gradient = BucketTarget(ids, log_probs, tail).loss_and_gradient(kind, student, slice(0, TOKENS))
    assert gradient.isfinite().all() and not values.isnan().any()


def test_rows_of_a_chunk_are_those_that_were_asked_for():
    student, log_p = draw()
    target = BucketTarget(*top(log_p))
    whole, gradient = target.loss_and_gradient("rkl", student.clone(), slice(0, TOKENS))
    part, part_gradient = target.loss_and_gradient("rkl", student[3:5].clone(), slice(3, 5))
    torch.testing.assert_close(part, whole[3:5])
    torch.testing.assert_close(part_gradient, gradient[3:5])
    assert target.loss_and_gradient("rkl", student[:0], slice(0, 0))[0].shape == (0,)


def test_blocks_of_single_rows_and_16_bit_logits_change_nothing(monkeypatch):
    student, log_p = draw(torch.bfloat16)
    before, target = student.clone(), BucketTarget(*top(log_p.float()))
    whole = by_autograd(lambda z: sparse_divergence("jsd", z, target), student)
    monkeypatch.setattr("pipestill.losses.divergences.CPU_BLOCK", 1)
    single = by_autograd(lambda z: sparse_divergence("jsd", z, target), student)
    assert torch.equal(student, before)
    assert whole[0].dtype == torch.float32 and whole[1].dtype == torch.bfloat16
    for one, other in zip(whole, single, strict=True):
        torch.testing.assert_close(one, other)


def sampled(draws):
    """The target of ``draws`` [tokens, n] ids, and the entropy of a teacher."""
    entries = [row.unique(return_counts=True) for row in draws]
    offsets = torch.tensor([0, *(len(ids) for ids, _ in entries)]).cumsum(0)
    ids, counts = (torch.cat(parts) for parts in zip(*entries, strict=True))
    _, log_p = draw()
    entropy = -(log_p.exp() * log_p).sum(1)
    return SampledTarget(ids, counts / draws.shape[1], offsets, entropy)


@pytest.mark.parametrize("t_squared", [False, True])
def test_draws_give_cross_entropy_with_their_shares_minus_the_entropy(t_squared):
    student, _ = draw()
    draws = torch.randint(0, VOCAB, (TOKENS, 9), generator=torch.Generator().manual_seed(2))
    target = sampled(draws)
    shares = torch.nn.functional.one_hot(draws, VOCAB).double().mean(1)

    def expected(z):
        return (4 if t_squared else 1) * (-(shares * (z / 2).log_softmax(1)).sum(1) - target.entropy)

    ours = by_autograd(lambda z: sparse_divergence("fkl", z, target, temperature=2.0, t_squared=t_squared), student)
    for one, other in zip(ours, by_autograd(expected, student), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_draws_are_for_the_forward_divergence_alone():
    student, _ = draw()
    with pytest.raises(UserError, match=r"codec `sample` serve the divergence fkl alone, not rkl: capture"):
        sparse_divergence("rkl", student, sampled(torch.zeros(TOKENS, 2, dtype=torch.int64)))


def test_a_number_of_tokens_that_differs_is_refused():
    student, log_p = draw()
    with pytest.raises(UserError, match="logits of 6 tokens, but distributions of 7"):
        sparse_divergence("fkl", student[1:], BucketTarget(*top(log_p)))


def test_deterministic_algorithms_are_all_there():
    student, log_p = draw()
    torch.use_deterministic_algorithms(True)
    try:
        for target in (BucketTarget(*top(log_p)), sampled(torch.zeros(TOKENS, 2, dtype=torch.int64))):
            by_autograd(lambda z, target=target: sparse_divergence("fkl", z, target), student)
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_prior_over_another_vocabulary_is_refused():
    student, log_p = draw()
    target = UnigramTarget(*top(log_p), torch.zeros(VOCAB + 1, dtype=torch.float64))
    with pytest.raises(UserError, match="distributions are over 61 tokens, but the student has 60: capture them again"):
        sparse_divergence("rkl", student, target)
