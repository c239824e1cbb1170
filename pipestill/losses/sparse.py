"""Divergences from stored distributions: k tokens and the mass of the others, or tokens that were drawn.

What is stored decides the objective. A *bucket* is one outcome for all tokens that are not stored: the divergence of
k + 1 outcomes, which is another objective than the dense one, and needs no dense teacher. A *unigram* tail spreads that
mass over the other tokens in proportion to a prior: an approximation of the dense objective. *Draws* give the gradient
of the dense forward divergence without a bias. Formulas: ``docs/distributions.md``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipestill.errors import UserError
from pipestill.losses.divergences import (
    accumulation_type,
    blocks,
    check_temperature,
    value_and_gradient,
)
from pipestill.losses.targets import DenseTarget, Target


class BucketTarget:
    """The k likeliest tokens of each distribution, and one outcome for all others.

    Args:
        ids: [tokens, k] of int64; a token stands once in a row.
        log_probs: [tokens, k], at the temperature that the student is compared at.
        tail: [tokens], log of the mass of all other tokens.
    """

    def __init__(self, ids: Tensor, log_probs: Tensor, tail: Tensor):
        self.ids, self.log_probs, self.tail = ids, log_probs, tail

    def __len__(self) -> int:
        """Tokens."""
        return len(self.ids)

    def loss_and_gradient(
        self,
        kind: str,
        logits: Tensor,
        rows: slice,
        *,
        temperature: float = 1.0,
        t_squared: bool = False,
        **options: Any,
    ) -> tuple[Tensor, Tensor]:
        """See :class:`~pipestill.losses.targets.Target`; the gradient is written over ``logits``."""
        check_temperature(temperature)
        values = logits.new_empty(len(logits))
        for block in blocks(logits):
            stored = slice(rows.start + block.start, rows.start + block.stop)
            values[block] = self._replace(kind, logits[block], stored, temperature, t_squared, options)
        return values, logits

    def _replace(self, kind, z, rows, temperature, t_squared, options) -> Tensor:
        """All tokens of the bucket get the same multiple of their probability as gradient."""
        ids = self.ids[rows]
        if temperature != 1:
            z.div_(temperature)
        z.sub_(z.amax(1, keepdim=True))
        own = z.gather(1, ids)
        z.exp_()
        z.scatter_(1, ids, 0.0)  # the tail is summed by itself: a difference of 1 and the k would lose its digits
        tail = z.sum(1, keepdim=True)
        log_total = (own.exp().sum(1, keepdim=True) + tail).log()
        log_q = torch.cat([own, tail.log()], 1) - log_total
        log_p = torch.cat([self.log_probs[rows], self.tail[rows, None]], 1).to(log_q)
        value, gradient = value_and_gradient(kind, log_p, log_q, **options)
        by_value, by_gradient = _scales(temperature, t_squared)
        by_bin = by_gradient * (gradient - log_q.exp() * gradient.sum(1, keepdim=True))
        z.mul_(torch.where(tail > 0, by_bin[:, -1:] / tail, 0.0))
        z.scatter_(1, ids, by_bin[:, :-1])
        return value * by_value


class UnigramTarget(DenseTarget):
    """The k likeliest tokens of each distribution; the mass of the others is spread in proportion to a prior.

    Args:
        ids: [tokens, k] of int64; a token stands once in a row.
        log_probs: [tokens, k], at ``temperature``.
        tail: [tokens], log of the mass of all other tokens.
        prior: [vocab], log-probabilities.
        temperature: that the student is compared at.
    """

    def __init__(self, ids: Tensor, log_probs: Tensor, tail: Tensor, prior: Tensor, temperature: float = 1.0):
        self.ids, self.log_probs, self.temperature = ids, log_probs, temperature
        self.prior = prior.to(log_probs.dtype)
        # What the prior leaves to the tail is a difference, hence double precision.
        left = prior.double().exp().sum() - prior.double().exp()[ids].sum(1)
        self.shift = (tail.double() - left.clamp_min(torch.finfo(torch.float32).tiny).log()).to(log_probs.dtype)

    def __len__(self) -> int:
        """Tokens."""
        return len(self.ids)

    def logits(self, rows: slice, vocab_size: int) -> Tensor:
        """Log-probabilities, times the temperature that they will be divided by."""
        if len(self.prior) != vocab_size:
            raise UserError(
                f"The distributions are over {len(self.prior)} tokens, but the student has {vocab_size}: capture them "
                "again with the student's tokenizer."
            )
        log_probs = self.prior + self.shift[rows, None]
        return log_probs.scatter_(1, self.ids[rows], self.log_probs[rows]).mul_(self.temperature)


class SampledTarget:
    """Tokens drawn from each distribution; their forward divergence has the dense one's gradient on average.

    Args:
        ids: [entries] of int64, the tokens drawn, token by token.
        weights: [entries], which share of a token's draws each has.
        offsets: [tokens + 1] of int64, on the CPU; entries ``offsets[t]`` to ``offsets[t + 1]`` belong to token t.
        entropy: [tokens] of the whole distribution, in nats; with it the value has no bias either.
    """

    def __init__(self, ids: Tensor, weights: Tensor, offsets: Tensor, entropy: Tensor):
        self.ids, self.weights, self.offsets, self.entropy = ids, weights, offsets, entropy

    def __len__(self) -> int:
        """Tokens."""
        return len(self.entropy)

    def loss_and_gradient(
        self,
        kind: str,
        logits: Tensor,
        rows: slice,
        *,
        temperature: float = 1.0,
        t_squared: bool = False,
        **options: Any,
    ) -> tuple[Tensor, Tensor]:
        """See :class:`~pipestill.losses.targets.Target`; the value of single tokens may be below 0.

        Raises:
            UserError: another divergence than ``fkl``.
        """
        if kind != "fkl":
            raise UserError(
                f"Distributions stored by the codec `sample` serve the divergence fkl alone, not {kind}: capture them "
                "with `topk` or `full`, or train with `teacher: online`."
            )
        check_temperature(temperature)
        values = logits.new_empty(len(logits))
        for block in blocks(logits):
            stored = slice(rows.start + block.start, rows.start + block.stop)
            values[block] = self._replace(logits[block], stored, temperature, t_squared)
        return values, logits

    def _replace(self, z, rows, temperature, t_squared) -> Tensor:
        bounds = self.offsets[rows.start : rows.stop + 1]
        entries = slice(int(bounds[0]), int(bounds[-1]))
        token = torch.repeat_interleave(torch.arange(len(z)), bounds.diff()).to(z.device)
        ids, weights = self.ids[entries], self.weights[entries].to(z)
        by_value, by_gradient = _scales(temperature, t_squared)
        if temperature != 1:
            z.div_(temperature)
        z.sub_(z.amax(1, keepdim=True))
        own = z[token, ids]
        z.exp_()
        total = z.sum(1, keepdim=True)
        value = total[:, 0].log() - self.entropy[rows].to(z)
        value.index_add_(0, token, own * -weights)
        z.mul_(by_gradient / total)
        z[token, ids] -= weights * by_gradient
        return value * by_value


def sparse_divergence(
    kind: str,
    student_logits: Tensor,
    target: Target,
    *,
    temperature: float = 1.0,
    t_squared: bool = False,
    **options: Any,
) -> Tensor:
    """Divergence of each token in nats, [tokens], differentiable (once) in the student's logits, which are kept.

    Args:
        kind: a key of :data:`~pipestill.losses.kinds.KINDS`.
        student_logits: [tokens, vocab].
        target: the teacher's distributions of these tokens.
        temperature: divides the student's logits.
        t_squared: multiply by the temperature's square.
        options: of the kind; others keep their defaults.
    """
    if len(student_logits) != len(target):
        raise UserError(f"There are logits of {len(student_logits)} tokens, but distributions of {len(target)}.")
    settings = {"temperature": temperature, "t_squared": t_squared, **options}
    return _SparseDivergence.apply(student_logits, kind, target, settings)


class _SparseDivergence(torch.autograd.Function):
    """Works on blocks of rows; the backward computes them anew, which is cheaper than to keep [tokens, vocab]."""

    @staticmethod
    def forward(ctx, student, *arguments):
        ctx.save_for_backward(student)
        ctx.arguments = arguments
        values = torch.empty(len(student), dtype=accumulation_type(student), device=student.device)
        for rows, value, _ in _SparseDivergence.blocks(student, *arguments):
            values[rows] = value
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, by_value):
        (student,) = ctx.saved_tensors
        gradient = torch.empty_like(student)
        for rows, _, by_logits in _SparseDivergence.blocks(student, *ctx.arguments):
            gradient[rows] = by_logits.mul_(by_value[rows].unsqueeze(-1))
        return gradient, None, None, None

    @staticmethod
    def blocks(student, kind, target, settings):
        """Rows, values, gradient of each block."""
        dtype = accumulation_type(student)
        for rows in blocks(student):
            logits = student[rows].to(dtype, copy=True)
            yield rows, *target.loss_and_gradient(kind, logits, rows, **settings)


def _scales(temperature: float, t_squared: bool) -> tuple[float, float]:
    """Factors of the value, and of its gradient by the logits over the temperature."""
    return (temperature**2, temperature) if t_squared else (1.0, 1 / temperature)
