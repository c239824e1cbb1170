"""The teacher's side of a divergence: logits that are there, or hidden states and a head that make them."""

from abc import ABC, abstractmethod
from typing import Any, Protocol

from torch import Tensor

from pipestill.errors import UserError
from pipestill.losses.divergences import blocks, logit_gradient
from pipestill.losses.kinds import complete_options
from pipestill.losses.products import product, product_type


class Target(Protocol):
    """What the teacher says about the supervised tokens, in their order."""

    def __len__(self) -> int:
        """Supervised tokens."""

    def loss_and_gradient(
        self, kind: str, logits: Tensor, rows: slice, *, temperature: float, t_squared: bool, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """Divergence [tokens] in nats and its gradient [tokens, vocab] by the student's logits.

        Args:
            kind: a key of :data:`~pipestill.losses.kinds.KINDS`.
            logits: of the student, [tokens, vocab], float32 or wider; may be overwritten.
            rows: which supervised tokens these are.
            temperature: divides the logits of both models.
            t_squared: multiply by the temperature's square.
            options: of the kind.
        """


class DenseTarget(ABC):
    """A target that knows the teacher's logits of the whole vocabulary."""

    @abstractmethod
    def logits(self, rows: slice, vocab_size: int) -> Tensor:
        """Teacher's logits of some supervised tokens, [tokens, vocab_size]; they hold until the next call."""

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
        """See :class:`Target`; the gradient is written over ``logits``."""
        options = complete_options(kind, options)
        values, teacher = logits.new_empty(len(logits)), self.logits(rows, logits.shape[1])
        for block in blocks(logits):
            values[block], logits[block] = logit_gradient(
                kind,
                logits[block],
                teacher[block].to(logits.dtype),
                temperature=temperature,
                t_squared=t_squared,
                **options,
            )
        return values, logits


class LogitsTarget(DenseTarget):
    """Teacher's logits, or log-probabilities, that are there: [tokens, vocab]."""

    def __init__(self, logits: Tensor):
        self._logits = logits.detach()

    def __len__(self) -> int:
        """Supervised tokens."""
        return len(self._logits)

    def logits(self, rows: slice, vocab_size: int) -> Tensor:
        """A view."""
        _check_size(self._logits.shape[1], vocab_size)
        return self._logits[rows, :vocab_size]


class HiddenTarget(DenseTarget):
    """Teacher's last hidden states [tokens, hidden] and its head [vocab, hidden], which is applied chunk by chunk."""

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor | None = None):
        dtype = product_type(weight)
        self._hidden, self._weight = hidden.detach().to(dtype), weight.detach().to(dtype)
        self._bias = None if bias is None else bias.detach().to(dtype)
        self._buffer = self._weight.new_empty(0)

    def __len__(self) -> int:
        """Supervised tokens."""
        return len(self._hidden)

    def logits(self, rows: slice, vocab_size: int) -> Tensor:
        """Computed in memory that is taken once: fresh memory is slower on a CPU than the arithmetic on it."""
        _check_size(len(self._weight), vocab_size)
        hidden = self._hidden[rows]
        if len(self._buffer) < len(hidden) * vocab_size:
            self._buffer = hidden.new_empty(len(hidden) * vocab_size)
        out = self._buffer[: len(hidden) * vocab_size].view(len(hidden), vocab_size)
        bias = None if self._bias is None else self._bias[:vocab_size]
        return product(hidden, self._weight[:vocab_size], bias, out)


def _check_size(vocab: int, vocab_size: int) -> None:
    if vocab < vocab_size:
        raise UserError(
            f"The teacher's logits have {vocab} entries, but the student's vocabulary has {vocab_size}; a divergence "
            "needs one tokenizer for both."
        )
