"""What the jobs around teacher distributions are told by their rules."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipestill.settings.models import HardwareConfig
from pipestill.settings.section import Section

Count = Annotated[int, Field(ge=1)]
OPTIONS = {"full": None, "topk": "k", "sample": "draws", "labels": "labels"}  # what each codec must be told


class CaptureSettings(Section):
    """The settings of a job that captures distributions."""

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
    adaptation: Literal["lora", "full"]
    """How the teacher was trained; its hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    code: str
    """Digest of the code: what other code left behind is not gone on with."""

    @model_validator(mode="after")
    def _codec_has_its_option(self):
        needed = OPTIONS[self.codec]
        for option in filter(None, OPTIONS.values()):
            if (getattr(self, option) is not None) != (option == needed):
                raise ValueError(f"codec `{self.codec}` {'needs' if option == needed else 'has no'} `{option}`")
        return self


class FidelitySettings(Section):
    """The settings of a job that compares gradients from stored distributions with exact ones."""

    study: str
    """Name of the study."""
    kinds: dict[str, dict[str, Any]]
    """The study's divergences: `tail`, and options that are given."""
    tokens: Count = 256
    """Validation tokens to compare on."""
    adaptation: Literal["lora", "full"]
    """How the teacher was trained; its hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""


def tail_of(kind: str, tail: str) -> str:
    """What a divergence makes of the mass of tokens that are not stored: ``auto`` is ``bucket`` for fkl alone."""
    if tail == "auto":
        return "bucket" if kind == "fkl" else "unigram"
    return tail
