"""Sections about training on answers that the student writes itself."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from pipestill.settings.section import NonzeroShare, Section, Share, Temperature, Tokens


class OwnSampling(Section):
    """How the student draws answers of its own."""

    reruns: ClassVar = {"*": "own_answers train"}

    temperature: Temperature = 1.0
    """Temperature: logits are divided by it."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Draw from the likeliest tokens that together have this probability."""
    top_k: Annotated[int, Field(ge=0, le=2**20)] = 0
    """Draw from this many likeliest tokens; 0: from all."""
    max_new_tokens: Tokens | None = None
    """Tokens at which an answer without an end is cut, as it is where a row has `max_length`; when absent, those of the
    longest answer in the training file."""


class OnPolicy(Section):
    """Steps that learn from what the teacher finds likely in answers of the student's own, in place of those in the
    training file."""

    reruns: ClassVar = {
        "*": "train",
        "share": "own_answers train",
        "schedule": "own_answers train",
        "rounds": "own_answers",
        "sampling": "own_answers train",
    }

    share: Share = 0.0
    """Share of the steps that do (GKD's lambda); with `schedule: adaptive` the first one (DistiLLM's phi)."""
    schedule: Literal["constant", "adaptive"] = "constant"
    """Course of the share; `adaptive`: it rises where the cross-entropy of validation answers has risen."""
    rise: NonzeroShare = 0.1
    """What `adaptive` adds to the share."""
    tolerance: Annotated[float, Field(ge=0, le=100)] = 0.1
    """Nats a token by which the cross-entropy must have risen."""
    buffer: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Own answers that are kept; once so many are, steps learn from some of them in place of new ones, the more of the
    run is over the more often (DistiLLM). 0: every such step learns from new ones (GKD)."""
    rounds: Annotated[int, Field(ge=0, le=1000)] = 0
    """0: the teacher stands beside the student, and steps learn from what the student writes just then. Else training
    goes in so many rounds: before each, the student answers in a job of its own, and what the teacher finds likely in
    that is stored."""
    sampling: OwnSampling = OwnSampling()
    """How they are drawn."""

    @property
    def active(self) -> bool:
        """True if any step may learn from own answers."""
        return self.share > 0 or self.schedule == "adaptive"

    def used(self) -> dict[str, Any]:
        """The settings in effect."""
        if not self.active:
            return {"share": self.share}
        return self.model_dump(exclude=set() if self.schedule == "adaptive" else {"rise", "tolerance"})
