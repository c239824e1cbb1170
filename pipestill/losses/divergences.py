"""Token-wise divergences of a student's distribution q from a teacher's p, with analytic gradients.

Every gradient has the form ``dD/dz = (G - q * sum(G)) / T`` for the student's logits z at temperature T, where
``G = dD/d log q`` takes the log-probabilities for free variables. G is known up to a multiple of q, which that formula
removes. Formulas, and what other projects mean by the same names: ``docs/divergences.md``.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipestill.errors import UserError
from pipestill.losses.kinds import KINDS, complete_options

INFINITE = 1e5  # what log(p/q) is where one of them is 0: products with it stay finite
CPU_BLOCK = 1 << 18  # logits at a time: what cache and heap can keep, with temporaries
GPU_BLOCK = 1 << 24  # logits at a time
HEAD = 64  # most likely tokens among which the head of `akl` is looked for first

Terms = Callable[..., tuple[Tensor, Tensor]]


def token_divergence(
    kind: str,
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 1.0,
    t_squared: bool = False,
    **options: Any,
) -> Tensor:
    """Divergence of each token in nats, [tokens], differentiable (once) in the student's logits.

    Computed in float32, or in the wider type of the inputs; they are never written. A divergence is infinite where it
    covers an outcome that the other distribution excludes by a logit of -inf; its gradient stays finite.

    Args:
        kind: a key of :data:`~pipestill.losses.kinds.KINDS`.
        student_logits: [tokens, vocab], supervised tokens only.
        teacher_logits: [tokens, vocab]; no gradient.
        temperature: divides the logits of both.
        t_squared: multiply by the temperature's square, which keeps the gradient's scale (Hinton et al. 2015).
        options: of the kind; others keep their defaults.

    Raises:
        UserError: shapes that differ, an unknown kind, an invalid option or temperature.
    """
    if student_logits.shape != teacher_logits.shape or student_logits.dim() != 2:
        raise UserError(
            f"A divergence needs logits [tokens, vocab] of one shape, not {list(student_logits.shape)} of the student "
            f"and {list(teacher_logits.shape)} of the teacher; cut padded heads to the size of the shared tokenizer."
        )
    options = complete_options(kind, options)
    check_temperature(temperature)
    return _TokenDivergence.apply(student_logits, teacher_logits, kind, temperature, t_squared, options)


def value_and_gradient(
    kind: str, teacher_log_probs: Tensor, student_log_probs: Tensor, **options: Any
) -> tuple[Tensor, Tensor]:
    """Divergence [tokens] in nats and G = dD/d log q [tokens, bins], both without autograd.

    G is known up to a multiple of q; the gradient of the student's logits is ``(G - q * G.sum(-1)) / temperature``.

    Args:
        kind: a key of :data:`~pipestill.losses.kinds.KINDS`.
        teacher_log_probs: [tokens, bins]; the bins are all that can happen (a vocabulary, or k ids and one for the
            rest), so each row's probabilities add up to 1. -inf is a probability of 0.
        student_log_probs: [tokens, bins], the same bins.
        options: of the kind; others keep their defaults.
    """
    log_ratio = teacher_log_probs - student_log_probs
    return _terms(kind, log_ratio, teacher_log_probs.exp(), student_log_probs.exp(), **complete_options(kind, options))


def check_temperature(temperature: float) -> None:
    """Raise a UserError unless ``temperature`` is a positive number."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise UserError(f"The temperature of a divergence must be a positive number, not {temperature!r}.")


def logit_gradient(
    kind: str, student_logits: Tensor, teacher_logits: Tensor, *, temperature: float, t_squared: bool, **options: Any
) -> tuple[Tensor, Tensor]:
    """Divergence [tokens] and its gradient [tokens, vocab] by the student's logits; float32 or wider in and out.

    Args:
        options: all of the kind's.
    """
    if temperature != 1:
        student_logits, teacher_logits = student_logits / temperature, teacher_logits / temperature
    p, log_sum_p = softmax(teacher_logits)
    q, log_sum_q = softmax(student_logits)
    log_ratio = (teacher_logits - student_logits).add_(log_sum_q - log_sum_p)
    value, gradient = _terms(kind, log_ratio, p, q, **options)
    gradient = gradient.addcmul(q, gradient.sum(-1, keepdim=True), value=-1)
    if t_squared:
        return value * temperature**2, gradient * temperature
    return value, gradient if temperature == 1 else gradient / temperature


def softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities [tokens, vocab] and the logarithm of the sum of exponentials [tokens, 1]."""
    probabilities = logits.softmax(-1)
    probabilities /= probabilities.sum(-1, keepdim=True)  # softmax adds up less carefully than sum does
    # The largest probability is exp(largest logit - log sum): cheaper than a logsumexp, which takes exponentials again.
    return probabilities, logits.amax(-1, keepdim=True) - probabilities.amax(-1, keepdim=True).log()


def _terms(kind: str, log_ratio: Tensor, p: Tensor, q: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """Value and G, from log(p/q) with the infinities (and the NaN of 0/0) that probabilities of 0 make."""
    log_ratio = log_ratio.nan_to_num(0, INFINITE, -INFINITE)
    value, gradient = DIVERGENCES[kind](log_ratio, p, q, **options)
    value = value.clamp_min(0)  # rounding may leave -1e-8
    value = value + 0 * (p.sum(-1) + q.sum(-1))  # a NaN of the logits is not hidden
    if KINDS[kind].covers_teacher:
        value = value.masked_fill(log_ratio.amax(-1) >= INFINITE, math.inf)
    if KINDS[kind].covers_student:
        value = value.masked_fill(log_ratio.amin(-1) <= -INFINITE, math.inf)
    return value, gradient


class _TokenDivergence(torch.autograd.Function):
    """Works on blocks of rows; the backward computes them anew, which is cheaper than to keep [tokens, vocab]."""

    @staticmethod
    def forward(ctx, student, teacher, *settings):
        ctx.save_for_backward(student, teacher)
        ctx.settings = settings
        values = torch.empty(len(student), dtype=accumulation_type(student, teacher), device=student.device)
        for rows, value, _ in _TokenDivergence.blocks(student, teacher, *settings):
            values[rows] = value
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, by_value):
        student, teacher = ctx.saved_tensors
        gradient = torch.empty_like(student)
        for rows, _, by_logits in _TokenDivergence.blocks(student, teacher, *ctx.settings):
            gradient[rows] = by_logits.mul_(by_value[rows].unsqueeze(-1))
        return gradient, None, None, None, None, None

    @staticmethod
    def blocks(student, teacher, kind, temperature, t_squared, options):
        """Rows, values, gradient of each block."""
        dtype = accumulation_type(student, teacher)
        for rows in blocks(student):
            logits = student[rows].to(dtype), teacher[rows].to(dtype)
            yield rows, *logit_gradient(kind, *logits, temperature=temperature, t_squared=t_squared, **options)


def accumulation_type(*tensors: Tensor) -> torch.dtype:
    """float32, or the widest type of ``tensors``."""
    return functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)


def blocks(logits: Tensor) -> list[slice]:
    """Slices of rows of ``logits`` [tokens, vocab], at least one row each, that fit the cache."""
    tokens, vocab = logits.shape
    step = max(1, (CPU_BLOCK if logits.is_cpu else GPU_BLOCK) // vocab)
    return [slice(start, min(start + step, tokens)) for start in range(0, tokens, step)]


# One function per kind: (log(p/q), p, q, options) -> value [tokens], G [tokens, bins]. All numbers are finite.
# In formulas r = log(p/q) and KL(p, q) = sum p r; G is given up to a multiple of q.


def _fkl(log_ratio: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    # KL(p, q); G = -p
    return (p * log_ratio).sum(-1), -p


def _rkl(log_ratio: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    # KL(q, p); G = -q r
    gradient = -q * log_ratio
    return gradient.sum(-1), gradient


def _weighted_sum(log_ratio: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Of KL(p, q) and KL(q, p), their weights being factors of p and q; without weights it is Jeffreys' divergence."""
    # sum (p - q) r; G = -p - q r
    return ((p - q) * log_ratio).sum(-1), -p.addcmul(q, log_ratio)


def _symmetric(log_ratio: Tensor, p: Tensor, q: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    # (1 - lam) KL(p, q) + lam KL(q, p); G = -(1 - lam) p - lam q r
    return _weighted_sum(log_ratio, (1 - lam) * p, lam * q)


def _jsd(log_ratio: Tensor, p: Tensor, q: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    # beta KL(p, m) + (1 - beta) KL(q, m), m = beta p + (1 - beta) q; G = (1 - beta) q log(q/m)
    m_to_larger = _log_mixture_to_larger(log_ratio, beta)
    gradient = (1 - beta) * q * (-log_ratio.clamp_min(0) - m_to_larger)  # log(q/m)
    return beta * (p * (log_ratio.clamp_max(0) - m_to_larger)).sum(-1) + gradient.sum(-1), gradient


def _tvd(log_ratio: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    # 1/2 sum |p - q|; G = 1/2 q sign(q - p)
    gap = q - p
    return 0.5 * gap.abs().sum(-1), 0.5 * gap.sign() * q


def _sfkl(log_ratio: Tensor, p: Tensor, q: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    # KL(p, m), m = lam p + (1 - lam) q; G = -(1 - lam) p q/m
    p_to_m = log_ratio.clamp_max(0) - _log_mixture_to_larger(log_ratio, lam)
    share_of_q = (math.log((1 - lam) / lam) - log_ratio).sigmoid_()  # of the mixture
    return (p * p_to_m).sum(-1), -p * share_of_q


def _srkl(log_ratio: Tensor, p: Tensor, q: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    # KL(q, m), m = (1 - lam) p + lam q; G = q (log(q/m) - lam q/m)
    q_to_m = -log_ratio.clamp_min(0) - _log_mixture_to_larger(log_ratio, 1 - lam)
    share_of_q = (math.log(lam / (1 - lam)) - log_ratio).sigmoid_()  # of the mixture
    return (q * q_to_m).sum(-1), q * (q_to_m - share_of_q)


def _akl(log_ratio: Tensor, p: Tensor, q: Tensor, alpha: float, order: str) -> tuple[Tensor, Tensor]:
    # (h KL(p, q) + t KL(q, p)) / (h + t), h and t: sums of |p - q| over p's head and tail; G with h and t constant
    gap = (p - q).abs()
    total = gap.sum(-1, keepdim=True)
    forward = torch.where(total > 0, head_gap(p, gap, alpha, order) / total, 0.5)  # equal distributions have no gap
    return _weighted_sum(log_ratio, forward * p, (1 - forward) * q)


def _todi(log_ratio: Tensor, p: Tensor, q: Tensor, beta: float, stop_gradient: bool) -> tuple[Tensor, Tensor]:
    # sum w p r - (1 - w) q r, w = sigmoid(beta r); G = (1 - w) q (1 - r) - w p with w constant
    weight = (beta * log_ratio).sigmoid()
    forward, reverse = weight * p, q - weight * q
    gradient = reverse * (1 - log_ratio) - forward
    if not stop_gradient:
        gradient = gradient - beta * weight * (1 - weight) * log_ratio * (p + q)
    return ((forward - reverse) * log_ratio).sum(-1), gradient


def _ab(log_ratio: Tensor, p: Tensor, q: Tensor, alpha: float, beta: float) -> tuple[Tensor, Tensor]:
    # -1/(a b) sum [p^a q^b - a/(a+b) p^(a+b) - b/(a+b) q^(a+b)]; G = (q^(a+b) - p^a q^b) / a
    # As expm1 of negative numbers, differences neither cancel where p is near q nor overflow where it is far.
    both, distance, sign = alpha + beta, log_ratio.abs(), log_ratio.sign()
    larger = torch.maximum(p, q) ** both
    own = 0.5 * (both + (beta - alpha) * sign)  # exponent of the smaller one
    entries = larger * (own / both * torch.expm1(-both * distance) - torch.expm1(-own * distance))
    slope = larger * (-beta * log_ratio.clamp_min(0)).exp() * torch.expm1(-alpha * distance)
    return entries.sum(-1) / (alpha * beta), slope * sign / alpha


def _log_mixture_to_larger(log_ratio: Tensor, share: float) -> Tensor:
    """log(m / max(p, q)) of m = share p + (1 - share) q: 0 where p is q, finite where either is 0."""
    share_of_smaller = log_ratio.sign().mul_(0.5 - share).add_(0.5)
    smaller = log_ratio.abs().mul_(-math.log2(math.e)).exp2_()  # of the larger; exp2 takes a third of exp's time
    return smaller.sub_(1).mul_(share_of_smaller).log1p_()


def head_gap(p: Tensor, gap: Tensor, alpha: float, order: str, size: int = HEAD) -> Tensor:
    """Sum of ``gap`` over the head of p, [tokens, 1], without sorting the vocabulary.

    By the published definitions outcomes are sorted by p, stably; ``ascending`` puts the first ones into the tail while
    their cumulated probability is at most ``alpha``, ``descending`` the first ones, and the very first in any case,
    into the head. Either head is a few of the most likely outcomes.

    Args:
        p: [tokens, bins].
        gap: [tokens, bins].
        alpha: limit of the cumulated probability.
        order: ``ascending`` or ``descending``.
        size: among how many of the most likely outcomes to look first.
    """
    size = min(size, p.shape[1])
    found, indices = p.topk(size)
    last = found[:, -1:]
    # Outcomes of equal probability come in the order of a stable sort.
    indices, by_index = indices.sort(descending=order == "ascending")
    found, by_value = found.gather(1, by_index).sort(descending=True, stable=True)
    indices = indices.gather(1, by_value)
    mass = found.double()
    above = mass.cumsum(1) - mass
    if order == "ascending":
        inside = above < p.sum(-1, dtype=torch.float64, keepdim=True) - alpha
    else:
        inside = above + mass <= alpha
        inside[:, 0] = True
    head = (gap.gather(1, indices) * inside).sum(1, keepdim=True)
    # A head is complete when its last member, and all that equal it, are among those found.
    incomplete = (inside & (found == last)).any(1)
    if size < p.shape[1] and incomplete.any():
        head[incomplete] = head_gap(p[incomplete], gap[incomplete], alpha, order, 16 * size)
    return head


DIVERGENCES: dict[str, Terms] = {
    "fkl": _fkl,
    "rkl": _rkl,
    "jeffreys": _weighted_sum,
    "symmetric": _symmetric,
    "jsd": _jsd,
    "tvd": _tvd,
    "sfkl": _sfkl,
    "srkl": _srkl,
    "akl": _akl,
    "todi": _todi,
    "ab": _ab,
}
