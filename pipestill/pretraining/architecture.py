"""The interface of the architectures: each builds a model and turns documents into its training batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from torch import Tensor, nn

from pipestill.pretraining.batch import Packable
from pipestill.pretraining.corpus.document import Document
from pipestill.pretraining.corpus.mixture import FAMILIES, Family


class Architecture(ABC):
    """A model architecture and the way it learns from documents; it has no state.

    Attributes:
        emphasis: factors of the shares that families of documents have in the corpus, where they are not 1.
        further: families of documents beside those that all architectures learn from.
    """

    emphasis: ClassVar[Mapping[str, float]] = {}
    further: ClassVar[tuple[Family, ...]] = ()

    @property
    def families(self) -> tuple[Family, ...]:
        """All families of documents that it learns from."""
        return (*FAMILIES, *self.further)

    @abstractmethod
    def build(self, shape: Any, vocabulary: int, seed: int) -> nn.Module:
        """Build a float32 model with the copy circuit set."""

    @abstractmethod
    def encode(self, document: Document, tokenizer, rng: Random) -> Packable:
        """Encode ``document`` as tokens to read and tokens to learn; ``rng`` decides which are hidden."""

    @abstractmethod
    def copied(self, string: list[int], rng: Random) -> Packable:
        """Encode a random string as one to be copied."""

    def longest_string(self, room: int) -> int:
        """Tokens of the longest string that can be copied in ``room`` tokens of a row's last part."""
        return room // 2

    def lengths(self, length: int) -> tuple[int, ...]:
        """Tokens of a row's parts, where ``length`` is the first one's."""
        return (length,)

    @abstractmethod
    def pack(self, rows: list[list[Any]], lengths: tuple[int, ...]) -> Any:
        """Pack encoded documents, by row, into a batch."""

    @abstractmethod
    def supervised_logits(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """Logits ``[supervised tokens, vocab]`` and their targets; the head is evaluated nowhere else."""
