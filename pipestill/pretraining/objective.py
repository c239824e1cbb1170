"""What differs between the kinds of base models: the architecture, and what is learnt from a document."""

from collections.abc import Mapping
from random import Random
from typing import Any, Protocol

from torch import Tensor, nn

from pipestill.pretraining.corpus.document import Document
from pipestill.pretraining.packing import Packable
from pipestill.settings.models import ModelKind


class Objective(Protocol):
    """An architecture and its training objective; without state, so that modules share one.

    Attributes:
        emphasis: factors of the shares that families of documents have in the corpus, where they are not 1.
    """

    emphasis: Mapping[str, float]

    def build(self, shape: Any, vocabulary: int, seed: int) -> nn.Module:
        """A float32 model, initialised."""

    def encode(self, document: Document, tokenizer, rng: Random) -> Packable:
        """What the model reads of ``document`` and what it is to learn; ``rng`` decides what is hidden."""

    def copied(self, string: list[int], rng: Random) -> Packable:
        """A random string, to be copied."""

    def longest_string(self, room: int) -> int:
        """Tokens of the longest string that can be copied in ``room`` tokens of a row's last part."""

    def lengths(self, length: int) -> tuple[int, ...]:
        """Tokens of a row's parts, where ``length`` is the first one's."""

    def pack(self, rows: list[list[Any]], lengths: tuple[int, ...]) -> Any:
        """The documents ``rows`` as a batch."""

    def supervised_logits(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """Logits ``[supervised tokens, vocab]`` and their targets; the head is evaluated nowhere else."""


def objective_of(kind: ModelKind) -> Objective:
    """The objective that trains models of this kind."""
    from pipestill.pretraining import causal, masked, seq2seq

    return {"causal": causal.OBJECTIVE, "seq2seq": seq2seq.OBJECTIVE, "masked": masked.OBJECTIVE}[kind]
