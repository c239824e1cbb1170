"""How answers are generated."""

from typing import Annotated

from pydantic import Field

from pipestill.settings.section import Count, Section, Seed


class GenerationConfig(Section):
    """How answers are generated."""

    sampling: bool = False
    """Draw tokens at random; otherwise the likeliest one is taken."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of sampling."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of sampling: only the likeliest tokens that together have this probability."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Of sampling: only this many likeliest tokens; 0: all."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """No sequence of so many tokens comes twice, the prompt's included; 0: no limit."""
    sampling_seeds: Annotated[list[Seed], Field(min_length=1)] = [10]
    """Every run answers once with each of these seeds, for `sampling: true`."""
    max_new_tokens: Count | None = None
    """Where an answer without an end is cut; the task's own when absent."""
