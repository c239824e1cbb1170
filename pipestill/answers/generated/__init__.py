"""Answers that are generated, once per sampling seed: what all such kinds share."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pipestill.answers.base import AnswerOptions, Answers, Reply
from pipestill.errors import UserError
from pipestill.io.records import Json, Prediction
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import ModelKind

OF_SAMPLING = frozenset({"temperature", "top_p", "top_k", "sampling_seeds"})


class GeneratedOptions(GenerationConfig, AnswerOptions):
    """Settings of generated answers."""

    unasked: ClassVar = frozenset({"sampling_seeds"})

    def used(self) -> Json:
        """Those of sampling only if there is some."""
        return self.model_dump(mode="json", exclude=set() if self.sampling else set(OF_SAMPLING))

    def unserved(self) -> dict[str, str]:
        """Repeated n-grams."""
        if not self.no_repeat_ngram_size:
            return {}
        return {"no_repeat_ngram_size": "vLLM forbids no repeated n-grams; set 0"}


class GeneratedReply(Reply):
    """An answer that was generated."""

    rationale: str | None = None
    """What was written before it, by models that write such, or its plan."""
    sampling_seed: int | None = None
    """That it was drawn with; none of a greedy answer."""
    repeats: bool = False
    """Whether it repeats itself up to the limit of its length."""


@dataclass
class Generated(Prediction):
    """A generated answer.

    Attributes:
        sampling_seed: that it was drawn with; none of a greedy answer.
        rationale: what was written before it and the marker, for methods that write one; none without a marker.
    """

    sampling_seed: int | None
    rationale: str | None = None


@dataclass(frozen=True)
class GeneratedAnswers(Answers):
    """Answers that a causal model or an encoder-decoder generates.

    Attributes:
        max_new_tokens: length limit.
    """

    max_new_tokens: int

    Options: ClassVar[type[GeneratedOptions]] = GeneratedOptions
    Reply: ClassVar[type[GeneratedReply]] = GeneratedReply
    model_kinds: ClassVar[frozenset[ModelKind]] = frozenset({"causal", "seq2seq"})
    written: ClassVar[bool] = True

    def check_request(self, options: GeneratedOptions, run: Path | None) -> None:
        """Any prompt can be answered."""

    def formatted(self, name: str, schema: Json | None) -> Json:
        """Options of answers in a format, as chats name it.

        Args:
            name: ``text``, ``json_object`` or ``json_schema``.
            schema: of the last.

        Raises:
            UserError: there are no such answers.
        """
        if name != "text":
            raise UserError(f"the answers of this model are text, not `{name}`: leave the format out")
        return {}
