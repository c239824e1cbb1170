"""What the jobs around teacher distributions are told by their rules."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.settings.jobs import ModelSettings
from pipestill.settings.section import Count, Section

OPTIONS = {"full": None, "topk": "k", "sample": "draws", "labels": "labels"}  # what each codec must be told


class CaptureSettings(ModelSettings):
    """What a job that captures distributions is told."""

    codec: Literal["full", "topk", "sample", "labels"]
    """How distributions are stored."""
    k: Annotated[int, Field(ge=1, lt=2**16)] | None = None
    """Tokens that `topk` keeps."""
    draws: Annotated[int, Field(ge=1, lt=2**16)] | None = None
    """Draws of `sample`."""
    labels: list[str] | None = None
    """Labels of `labels`."""
    temperature: Annotated[float, Field(gt=0)]
    """The teacher's logits are divided by it."""
    max_length: Count
    """Tokens of prompt and answer together, as in the students' training."""
    ending: str = ""
    """What stands behind the text in the prompts: one that is too long keeps it."""
    code: str
    """Digest of the code: what other code left behind is not resumed."""

    @model_validator(mode="after")
    def _codec_has_its_option(self):
        needed = OPTIONS[self.codec]
        for option in filter(None, OPTIONS.values()):
            if (getattr(self, option) is not None) != (option == needed):
                raise ValueError(f"codec `{self.codec}` {'needs' if option == needed else 'has no'} `{option}`")
        return self


class ComparedDivergence(Section):
    """A divergence, as one method of a study uses it."""

    tail: Literal["bucket", "unigram"]
    """What it makes of the tokens that a `topk` cache does not store."""
    options: dict[str, bool | float | str] = {}
    """Its own options; those that are not given have their defaults."""


class FidelitySettings(ModelSettings):
    """What a job that compares gradients from stored distributions with exact ones is told."""

    study: str
    """Name of the study."""
    kinds: dict[str, ComparedDivergence]
    """The study's divergences by kind."""
    tokens: Count = 256
    """Validation tokens to compare on."""
