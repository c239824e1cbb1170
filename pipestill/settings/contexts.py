"""Settings of contexts: what models read before a question."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipestill.settings.prompts import Prompt
from pipestill.settings.section import CleanText, Count, Distinct, Section, Seed, Tokens, Word

Shots = Annotated[int, Field(ge=1, le=10_000)]
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=1000), Distinct]


class InContextConfig(Section):
    """In-context learning: solved training rows, the demonstrations, stand before each question."""

    reruns: ClassVar = {"*": "predict", "prompts": "report", "grid": "report"}

    shots: Shots = 8
    """Demonstrations before each question, as equal per class as they can be."""
    seeds: Seeds = [1, 2, 3]
    """Seeds of the draw of demonstrations; each is a run."""
    instruction: CleanText = ""
    """A guideline before the demonstrations."""
    max_tokens: Tokens | None = None
    """Tokens of context, question and answer together; the positions of the model when absent."""
    on_overflow: Literal["reduce", "stop"] = "reduce"
    """Treatment of demonstrations that do not fit beside the longest question: `reduce` them to the number that does,
    which the table says, or `stop` the run."""
    grid: Annotated[list[Annotated[int, Field(ge=0, le=10_000)]], Field(max_length=100), Distinct] = []
    """Numbers of demonstrations that the report's curve is drawn through; 0: the question alone."""
    prompts: Annotated[list[Word], Field(max_length=100), Distinct] = []
    """Prompts that the curve is drawn for; the study's own when absent."""


class ContextSettings(Section):
    """Context of the questions of one job."""

    shots: Annotated[int, Field(ge=0, le=10_000)]
    """Demonstrations."""
    instruction: str = ""
    """A guideline before them."""


class InContextSettings(ContextSettings):
    """Context of the test questions of a prediction job; the seed of a run draws its demonstrations."""

    max_tokens: Count | None = None
    """Tokens of context, question and answer together; none: the positions of the model."""
    on_overflow: Literal["reduce", "stop"] = "reduce"
    """Treatment of demonstrations that do not fit."""


__all__ = ["ContextSettings", "InContextConfig", "InContextSettings", "Prompt"]
