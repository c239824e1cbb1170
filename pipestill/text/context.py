"""Contexts: what stands before a question, so that a model reads how it is to be answered."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """An instruction and solved questions.

    Attributes:
        instruction: a guideline; empty where there is none.
        demonstrations: questions and their answers.
        separator: between them, where no chat template tells them apart.
    """

    instruction: str = ""
    demonstrations: Sequence[tuple[str, str]] = ()
    separator: str = "\n\n"

    def __bool__(self) -> bool:
        """True if there is anything to read."""
        return bool(self.instruction or self.demonstrations)

    @property
    def head(self) -> str:
        """The context as plain text, up to where a question begins."""
        parts = [*([self.instruction] if self.instruction else []), *map("".join, self.demonstrations)]
        return "".join(f"{part}{self.separator}" for part in parts)

    def turns(self, question: str) -> list[str]:
        """Messages of user and assistant in turn, the last one with ``question``."""
        first, *others = [text for pair in self.demonstrations for text in pair] + [question]
        return [f"{self.instruction}\n{first}" if self.instruction else first, *others]


NO_CONTEXT = Context()
