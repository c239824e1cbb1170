"""Cross-entropy and a divergence from hidden states: the head's matrix product is part of the loss.

The gradient is made in the forward pass, chunk by chunk of the supervised tokens: logits of student and teacher, both
losses and their gradient, which is written over the student's logits, and its products with head and hidden states.
Logits of other chunks, or of tokens without a label, never exist. Method and figures: ``docs/divergences.md``.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils._triton import has_triton

from pipestill.errors import UserError
from pipestill.losses import IGNORED
from pipestill.losses.divergences import (
    accumulation_type,
    blocks,
    check_temperature,
    logit_gradient,
    softmax,
)
from pipestill.losses.kinds import complete_options
from pipestill.losses.products import product, product_type
from pipestill.losses.targets import DenseTarget, Target

CPU_CHUNK, GPU_CHUNK = 512, 4096  # tokens of a chunk times bytes of a number: 128 tokens in float32 on a CPU
CPU_ROWS, GPU_ROWS = 1024, 32_768  # of a product in half precision that go into the head's float32 gradient at a time


class LinearLoss(NamedTuple):
    """Sums over the supervised tokens in nats; only ``loss`` has a gradient."""

    loss: Tensor
    cross_entropy: Tensor
    divergence: Tensor


def linear_divergence(
    kind: str,
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    target: Target,
    *,
    vocab_size: int | None = None,
    kd_rate: float = 0.5,
    temperature: float = 1.0,
    t_squared: bool = False,
    bias: Tensor | None = None,
    chunk: int | None = None,
    **options: Any,
) -> LinearLoss:
    """``(1 - kd_rate) * cross-entropy + kd_rate * divergence``, summed over the labelled rows, and both parts.

    Gradients reach ``hidden``, ``weight`` and ``bias`` where they are required; a frozen head costs none. The backward
    scales them in place, so it can run once.

    Args:
        kind: a key of :data:`~pipestill.losses.kinds.KINDS`, or what else ``target`` knows.
        hidden: the student's last hidden states, [rows, hidden].
        weight: its head, [vocab, hidden].
        labels: [rows]; rows without one are :data:`~pipestill.losses.IGNORED` and take part in nothing.
        target: the teacher's side of the labelled rows, in their order.
        vocab_size: ids of the shared tokenizer; what a head has beyond is padding and is cut before the softmax.
        kd_rate: weight of the divergence.
        temperature: divides the logits of both models in the divergence; the cross-entropy has none.
        t_squared: multiply the divergence by the temperature's square.
        bias: of the head, [vocab].
        chunk: labelled rows whose logits exist at a time.
        options: of the kind.

    Raises:
        UserError: an unknown kind, an invalid option, a label or a target that does not fit.
    """
    rows = (labels != IGNORED).nonzero().squeeze(-1)
    labels = labels[rows]
    vocab_size = len(weight) if vocab_size is None else vocab_size
    check_temperature(temperature)
    if not 0 <= kd_rate <= 1:
        raise UserError(f"kd_rate must be a number from 0 to 1, not {kd_rate!r}.")
    if len(target) != len(rows):
        raise UserError(f"There are {len(rows)} labelled tokens, but the teacher's side has {len(target)}.")
    if vocab_size > len(weight) or (len(labels) and int(labels.max()) >= vocab_size):
        raise UserError(
            f"A vocabulary of {vocab_size} does not fit the labels or a head of {len(weight)} rows; it is the number "
            "of the tokenizer's ids."
        )
    if isinstance(target, DenseTarget):
        options = complete_options(kind, options)
    if not torch.is_grad_enabled():  # an autograd function would not know
        hidden, weight, bias = hidden.detach(), weight.detach(), None if bias is None else bias.detach()
    losses = _Losses(kind, labels, target, kd_rate, temperature, t_squared, options)
    chunk = chunk or (CPU_CHUNK if weight.is_cpu else GPU_CHUNK) // product_type(weight).itemsize
    return LinearLoss(*_LinearDivergence.apply(hidden, weight, bias, rows, vocab_size, chunk, losses))


class _LinearDivergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, rows, vocab_size, chunk, losses):
        dtype, wide = product_type(weight), accumulation_type(weight)
        summed = wide if len(rows) > chunk else weight.dtype  # one chunk's product is no sum
        to_hidden, to_weight, to_bias = ctx.needs_input_grad[:3]
        by_hidden = torch.zeros_like(hidden) if to_hidden else None
        by_weight = torch.zeros_like(weight, dtype=summed) if to_weight else None
        by_bias = torch.zeros_like(bias, dtype=wide) if to_bias else None
        with torch.autocast(weight.device.type, enabled=False):
            head, offset = weight[:vocab_size].to(dtype), None if bias is None else bias[:vocab_size].to(dtype)
            buffer = head.new_empty(min(chunk, len(rows)), vocab_size)
            values = head.new_empty(2, len(rows), dtype=wide)
            for start in range(0, len(rows), chunk):
                part = slice(start, min(start + chunk, len(rows)))
                states = hidden[rows[part]].to(dtype)
                logits = product(states, head, offset, buffer[: len(states)])
                values[:, part] = losses.replace_by_gradient(logits, part)
                if to_hidden:
                    by_hidden[rows[part]] = product(logits, head.t()).to(hidden.dtype)
                if to_weight:
                    _add_product(by_weight[:vocab_size], logits, states)
                if to_bias:
                    by_bias[:vocab_size] += logits.sum(0, dtype=wide)
        ctx.save_for_backward(
            by_hidden,
            by_weight.to(weight.dtype) if to_weight else None,
            by_bias.to(bias.dtype) if to_bias else None,
        )
        cross_entropy, divergence = values.sum(1, dtype=torch.float64)
        loss = torch.lerp(cross_entropy, divergence, losses.kd_rate)
        sums = tuple(total.to(wide) for total in (loss, cross_entropy, divergence))
        ctx.mark_non_differentiable(*sums[1:])
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx, by_loss, *_):
        scaled = (None if gradient is None else gradient.mul_(by_loss) for gradient in ctx.saved_tensors)
        return *scaled, None, None, None, None


def _add_product(total: Tensor, by_logits: Tensor, states: Tensor) -> None:
    """Add the head's gradient of a chunk to ``total`` [vocab, hidden], float32 or wider."""
    if by_logits.dtype == total.dtype:
        total.addmm_(by_logits.t(), states)
        return
    step = CPU_ROWS if total.is_cpu else GPU_ROWS
    for start in range(0, len(total), step):  # a product of all rows would be as large as the head
        rows = slice(start, start + step)
        total[rows] += torch.mm(by_logits[:, rows].t(), states)


@dataclass(frozen=True)
class _Losses:
    """Both losses of supervised tokens, and the gradient of their combination."""

    kind: str
    labels: Tensor
    target: Target
    kd_rate: float
    temperature: float
    t_squared: bool
    options: dict[str, Any]

    def replace_by_gradient(self, logits: Tensor, part: slice) -> Tensor:
        """Cross-entropies and divergences [2, tokens] of the tokens ``part``; ``logits`` becomes the gradient."""
        settings = dict(temperature=self.temperature, t_squared=self.t_squared, **self.options)
        values = logits.new_empty(2, len(logits), dtype=accumulation_type(logits))
        dense = isinstance(self.target, DenseTarget)
        teacher = self.target.logits(part, logits.shape[1]) if dense else None
        compile_it = logits.is_cuda and has_triton() and self.kind != "akl"  # whose head is searched for, in a loop
        dense_step = _compiled_step() if compile_it else _dense_step
        for block in blocks(logits):
            rows = slice(part.start + block.start, part.start + block.stop)
            student, labels = logits[block], self.labels[rows].unsqueeze(-1)
            if dense:
                step = dense_step(student, teacher[block], labels, self.kd_rate, self.kind, **settings)
            else:
                divergence = functools.partial(self.target.loss_and_gradient, self.kind, rows=rows, **settings)
                step = _step(student, labels, self.kd_rate, divergence)
            values[0, block], values[1, block] = step
        return values


def _dense_step(student, teacher, labels, kd_rate, kind, **settings) -> tuple[Tensor, Tensor]:
    def divergence(logits):
        return logit_gradient(kind, logits, teacher.to(logits.dtype), **settings)

    return _step(student, labels, kd_rate, divergence)


@functools.cache
def _compiled_step() -> Callable[..., tuple[Tensor, Tensor]]:
    """For GPUs, where a dozen passes over memory would take as long as the matrix products."""
    return torch.compile(_dense_step)


def _step(
    logits: Tensor, labels: Tensor, kd_rate: float, divergence: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Cross-entropies and divergences, each [tokens]; ``logits`` [tokens, vocab] become the gradient.

    Args:
        labels: [tokens, 1].
        divergence: values and gradient of wide logits, which it may overwrite.
    """
    wide = logits.to(accumulation_type(logits))
    q, log_sum = softmax(wide)
    cross_entropy = (log_sum - wide.gather(1, labels)).squeeze(1)
    values, by_logits = divergence(wide)
    gradient = q.lerp(by_logits, kd_rate)
    logits.copy_(gradient.scatter_add(1, labels, gradient.new_full(labels.shape, kd_rate - 1)))
    return cross_entropy, values
