"""What jobs that run models are told by their rules."""

from typing import Annotated

from pydantic import Field

from pipestill.io.records import Json
from pipestill.settings.models import HardwareConfig
from pipestill.settings.section import Count, Section
from pipestill.settings.training import Adaptation, TrainingConfig
from pipestill.text.sentences import Splitter


class Asking(Section):
    """How a model is asked about a task."""

    task: str
    """Name of the task."""
    prompt: str = "answer"
    """Which of the task's prompts is asked."""
    max_prompt_tokens: Count
    """Longer prompts lose the end of their text."""
    max_new_tokens: Count
    """Where an answer without an end is cut, a rationale before it included."""
    rationale_tokens: Annotated[int, Field(ge=0)] = 0
    """Those of `max_new_tokens` that are for a rationale and a marker before each answer; 0: answers come alone."""
    answers: Json = {}
    """Options of the task's kind of answers."""


class ModelSettings(Section):
    """What a job that loads a model is told."""

    adaptation: Adaptation
    """How the model was trained; the hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""


class ScoringSettings(ModelSettings):
    """What a job that asks a model is told."""

    asking: Asking
    """How it is asked."""
    code: str
    """Digest of the code: what other code left behind is not resumed."""


class PredictionSettings(ScoringSettings):
    """What a prediction job is told."""

    data: Json
    """Options of the task's layout: inputs that come later, by hand, are cropped as the records were."""
    splitter: Splitter = "sentencex"
    """What finds the sentences of such inputs."""


class PredictionJob(Section):
    """What a prediction job leaves for predictions by hand, which are made alike; paths are relative to its output."""

    settings: PredictionSettings
    """What it was told."""
    base: str
    """Directory of the base model."""
    runs: dict[int, str | None]
    """Model directory of each run by seed; none stands for the base model."""
    crop_tokenizer: str | None = None
    """The `tokenizer.json` whose tokens cropping counts; none: it counts characters."""


class TrainingSettings(Section):
    """What a training job is told."""

    method: str
    """Whose objective is trained: a key of METHODS, `teacher` or `annotator`."""
    options: Json = {}
    """Options of the objective."""
    training: TrainingConfig
    """How the model is trained."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    ending: str = ""
    """What stands behind the text in the prompts: one that is too long keeps it."""
    teacher_adaptation: Adaptation | None = None
    """How a teacher that runs beside the student was trained; its hardware plan depends on it."""
    rationale_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens that a rationale and a marker may take before each generated answer; 0: answers come alone."""
    selection: Asking | None = None
    """How candidates answer validation prompts, for `select: metric`."""
