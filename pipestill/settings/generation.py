"""Settings of generation."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipestill.settings.section import Distinct, Section, Seed, Temperature, Tokens


class GenerationConfig(Section):
    """Settings of generated text."""

    reruns: ClassVar = {"*": "train predict", "max_new_tokens": "teacher_outputs unlabelled_outputs train predict"}

    sampling: bool = False
    """Draw tokens at random (do_sample); otherwise the likeliest one is taken."""
    temperature: Temperature = 1.0
    """Temperature of sampling: logits are divided by it."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample from the likeliest tokens that together have this probability."""
    top_k: Annotated[int, Field(ge=0, le=2**20)] = 0
    """Sample from this many likeliest tokens; 0: from all."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=1000)] = 0
    """No sequence of this many tokens comes twice, the prompt's included; 0: no limit."""
    sampling_seeds: Annotated[list[Seed], Field(min_length=1, max_length=1000), Distinct] = [10]
    """Every run answers once with each of these seeds, for `sampling: true`."""
    max_new_tokens: Tokens | None = None
    """Tokens at which an answer without an end is cut; the task's own limit when absent."""

    def seeds(self) -> list[int | None]:
        """Seeds that every prompt is answered with; greedy answers have none."""
        return list(self.sampling_seeds) if self.sampling else [None]
