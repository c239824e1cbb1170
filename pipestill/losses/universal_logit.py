"""Universal logit distance between models of different tokenizers: what two sorted distributions differ by.

Boizard et al. 2024, "Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs"
(arXiv:2402.12030): both distributions are sorted by probability, the smaller vocabulary is filled up with zeros,
and the distance is the sum of absolute differences, a Wasserstein distance that ignores which token is which.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from pipestill.errors import UserError
from pipestill.losses import CHUNK
from pipestill.losses.divergences import accumulation_type, blocks, check_temperature
from pipestill.losses.targets import HiddenTarget


def universal_logit_distance(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Distance of each token, [tokens], from 0 to 2, differentiable (once) in the student's logits.

    Args:
        student_logits: [tokens, vocab], supervised tokens only.
        teacher_logits: [tokens, vocab of the teacher], of the tokens that the student's are paired with.
        temperature: divides the logits of both.

    Raises:
        UserError: different numbers of tokens, or an invalid temperature.
    """
    check_temperature(temperature)
    if len(student_logits) != len(teacher_logits):
        raise UserError(
            f"The universal logit distance needs as many tokens of the student ({len(student_logits)}) as of the "
            f"teacher ({len(teacher_logits)}); pair them with pair_positions."
        )
    return _UniversalLogitDistance.apply(student_logits, teacher_logits, temperature)


def pair_positions(student_tokens: Sequence[int], teacher_tokens: Sequence[int]) -> Tensor:
    """For each supervised token of the student the teacher's token at the same place of the answer, or -1.

    Args:
        student_tokens: supervised tokens of each row; the rows' tokens are numbered on from row to row.
        teacher_tokens: the same of the teacher.
    """
    pairs, start = [], 0
    for own, other in zip(student_tokens, teacher_tokens, strict=True):
        places = torch.arange(own)
        pairs.append(torch.where(places < other, start + places, -1))
        start += other
    return torch.cat(pairs) if pairs else torch.empty(0, dtype=torch.long)


class UniversalTarget:
    """The teacher's side of ``uld`` for :func:`~pipestill.losses.linear.linear_divergence`.

    Args:
        hidden: the teacher's last hidden states of its own supervised tokens, [teacher tokens, hidden].
        weight: its head, [vocab, hidden].
        pairs: of :func:`pair_positions`, [student tokens]; tokens without a partner have no divergence.
        bias: of the head, [vocab].
        vocab_size: ids of the teacher's tokenizer; what its head has beyond is cut.
    """

    def __init__(
        self,
        hidden: Tensor,
        weight: Tensor,
        pairs: Tensor,
        bias: Tensor | None = None,
        vocab_size: int | None = None,
    ):
        self._paired = pairs >= 0
        self._teacher = HiddenTarget(hidden[pairs.clamp_min(0)], weight, bias)
        self._vocab_size = vocab_size or len(weight)
        self._chunk = slice(0, 0)

    def __len__(self) -> int:
        """Supervised tokens of the student."""
        return len(self._paired)

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
        """See :class:`~pipestill.losses.targets.Target`."""
        if kind != "uld" or options:
            raise UserError(f"Models of different tokenizers have the divergence uld, without options, not {kind!r}.")
        if not self._chunk.start <= rows.start < rows.stop <= self._chunk.stop:
            self._chunk = slice(rows.start, max(rows.stop, min(rows.start + CHUNK, len(self))))
            self._logits = self._teacher.logits(self._chunk, self._vocab_size)
        teacher = self._logits[rows.start - self._chunk.start : rows.stop - self._chunk.start]
        values, gradient = _distance_and_gradient(logits, teacher.to(logits.dtype), temperature)
        paired = self._paired[rows].to(logits.dtype)
        values, gradient = values * paired, gradient * paired.unsqueeze(-1)
        return (values * temperature**2, gradient * temperature**2) if t_squared else (values, gradient)


class _UniversalLogitDistance(torch.autograd.Function):
    """Works on blocks of rows, which the backward computes anew."""

    @staticmethod
    def forward(ctx, student, teacher, temperature):
        ctx.save_for_backward(student, teacher)
        ctx.temperature = temperature
        values = student.new_empty(len(student), dtype=accumulation_type(student, teacher))
        for rows, value, _ in _UniversalLogitDistance.blocks(student, teacher, temperature):
            values[rows] = value
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, by_value):
        student, teacher = ctx.saved_tensors
        gradient = torch.empty_like(student)
        for rows, _, by_logits in _UniversalLogitDistance.blocks(student, teacher, ctx.temperature):
            gradient[rows] = by_logits.mul_(by_value[rows].unsqueeze(-1))
        return gradient, None, None

    @staticmethod
    def blocks(student, teacher, temperature):
        """Rows, values, gradient of each block."""
        dtype = accumulation_type(student, teacher)
        for rows in blocks(student):
            yield rows, *_distance_and_gradient(student[rows].to(dtype), teacher[rows].to(dtype), temperature)


def _distance_and_gradient(student: Tensor, teacher: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Distances [tokens] and gradient [tokens, vocab]; logits are float32 or wider."""
    q = (student / temperature).softmax(-1)
    in_order, order = q.sort(descending=True)
    p = (teacher / temperature).softmax(-1).sort(descending=True).values
    size = max(q.shape[1], p.shape[1])
    difference = pad(in_order, (0, size - q.shape[1])) - pad(p, (0, size - p.shape[1]))
    by_q = torch.empty_like(q).scatter_(1, order, difference[:, : q.shape[1]].sign())
    gradient = q * (by_q - (q * by_q).sum(-1, keepdim=True)) / temperature
    return difference.abs().sum(-1), gradient
