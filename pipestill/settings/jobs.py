"""What jobs that ask a model are told by their rules."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.plan.study import GenerationConfig
from pipestill.settings.data import CropConfig
from pipestill.settings.models import HardwareConfig
from pipestill.settings.section import Count, Section
from pipestill.text.sentences import Splitter


class ScoringSettings(Section):
    """What a job that asks a model is told by its rule."""

    task: str
    """Name of the task."""
    max_prompt_tokens: Count
    """Longer prompts lose the end of their text."""
    max_new_tokens: Count
    """Where an answer without an end is cut."""
    adaptation: Literal["lora", "full"]
    """How the runs were trained; the hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    code: str
    """Digest of the code: scores that other code left behind are not gone on with."""


class PredictionSettings(ScoringSettings):
    """What a prediction job is told by its rule."""

    null_inputs: list[str] | None
    """Content-free inputs; the task's own when absent."""
    calibration: str
    """Name of the calibration, or `auto`."""
    max_chars: Count
    """Longer inputs that come later, by hand, are cropped as the records were; documents as `crop` says."""
    crop: CropConfig | None
    """How such documents are cropped; none for other tasks."""
    splitter: Splitter = "sentencex"
    """What finds their sentences."""
    template: Literal["plain", "alpaca"]
    """How the instruction and the input of such a request become one message."""
    rationale_tokens: Annotated[int, Field(ge=0)] = 0
    """Those of `max_new_tokens` that are for a rationale and a marker before each answer; 0: answers come alone."""
    generation: GenerationConfig | None
    """How answers are generated; none for a task that ranks labels."""
