"""Settings of contexts: what models read before a question."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipestill.settings.prompts import Prompt
from pipestill.settings.section import CleanText, Distinct, Section, Seed, Tokens, Word

Shots = Annotated[int, Field(ge=0, le=10_000)]
Overflow = Literal["reduce", "stop"]


class ContextSettings(Section):
    """Context before each question."""

    shots: Shots = 8
    """Demonstrations, that is, solved training rows, as equal per class as they can be."""
    instruction: CleanText = ""
    """A guideline before the demonstrations."""


class TeacherContext(ContextSettings):
    """Context that a teacher reads before the questions of training rows."""

    prompt: Prompt
    """Its prompt, which may show the gold answer."""
    seed: Seed
    """Seed of the draw of demonstrations."""
    draws: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Draws, which rows are divided among."""


class InContextSettings(ContextSettings):
    """Context before each test question; the seed of a run draws its demonstrations."""

    max_tokens: Tokens | None = None
    """Tokens of context, question and answer together; the positions of the model when absent."""
    on_overflow: Overflow = "reduce"
    """Treatment of demonstrations that do not fit beside the longest question: `reduce` them to the number that does,
    which the table says, or `stop` the run."""


class InContextConfig(InContextSettings):
    """In-context learning: the untrained student reads solved training rows before each question."""

    reruns: ClassVar = {
        "*": "predict",
        **dict.fromkeys(("shots", "instruction", "max_tokens", "on_overflow"), "predict"),
    }

    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1000), Distinct] = [1, 2, 3]
    """Seeds of the draw of demonstrations; each is a run."""
    curve: Annotated[list[Shots], Field(max_length=100), Distinct] = []
    """Numbers of demonstrations that the report's curve is drawn through; 0: the question alone."""
    prompts: Annotated[list[Word], Field(max_length=100), Distinct] = []
    """Prompts that the curve is drawn for; the study's own when absent."""

    def told(self) -> InContextSettings:
        """What a prediction job is told."""
        return InContextSettings(**{name: getattr(self, name) for name in InContextSettings.model_fields})
