"""Settings of the jobs around teacher distributions, given by their rules."""

from itertools import chain
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.settings.contexts import TeacherContext
from pipestill.settings.jobs import ModelSettings
from pipestill.settings.prompts import Form
from pipestill.settings.section import Count, Section, Temperature, Tokens

Stored = Annotated[int, Field(ge=1, lt=2**16)]  # tokens or draws at one place
OPTIONS = {
    "full": (),
    "topk": ("k",),
    "sample": ("draws",),
    "labels": ("labels", "read_labels", "rest_bucket"),
}  # of each codec


class CaptureSettings(ModelSettings):
    """Settings of a job that captures distributions."""

    codec: Literal["full", "topk", "sample", "labels"]
    """Format of stored distributions."""
    k: Stored | None = None
    """Tokens that `topk` keeps."""
    draws: Stored | None = None
    """Draws of `sample`."""
    labels: list[str] | None = None
    """Labels of `labels`, as answers of the student."""
    read_labels: list[str] | None = None
    """The same as answers of the teacher, whose prompt may have other words."""
    rest_bucket: bool | None = None
    """One more outcome of `labels` for all other tokens."""
    temperature: Temperature
    """The teacher's logits are divided by it."""
    max_length: Tokens
    """Tokens of prompt and answer together, as in the students' training."""
    form: Form = Form()
    """The form of the prompts."""
    written: bool = False
    """Rows hold the tokens of a student's own answers, not texts."""
    context: TeacherContext | None = None
    """Context that the teacher reads before each question; none: it reads what the student reads."""
    code: str
    """Digest of the code: the state of other code is not resumed."""

    @model_validator(mode="after")
    def _codec_has_its_option(self):
        needed = OPTIONS[self.codec]
        for option in chain.from_iterable(OPTIONS.values()):
            if (getattr(self, option) is not None) != (option in needed):
                raise ValueError(f"codec `{self.codec}` {'needs' if option in needed else 'has no'} `{option}`")
        return self


class ComparedDivergence(Section):
    """A divergence, as one method of a study uses it."""

    kind: str
    """The divergence."""
    tail: Literal["bucket", "unigram"]
    """Treatment of the tokens that a `topk` cache does not store."""
    options: dict[str, bool | float | str] = {}
    """Its own options; those that are not given have their defaults."""


class FidelitySettings(ModelSettings):
    """Settings of a job that compares gradients from stored distributions with exact ones."""

    study: str
    """Name of the study."""
    methods: dict[str, ComparedDivergence]
    """The study's divergences by method."""
    tokens: Count = 256
    """Validation tokens to compare on."""
