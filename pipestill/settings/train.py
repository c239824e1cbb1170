"""What a training job is told by its rule."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import HardwareConfig
from pipestill.settings.section import Section
from pipestill.settings.training import TrainingConfig


class TrainingSettings(Section):
    """The settings of one training job."""

    objective: Literal["cross_entropy", "dpo", "divergence", "stepwise"]
    """The loss."""
    divergence: str | None = None
    """Which divergence, for the objective of that name."""
    training: TrainingConfig
    """How the model is trained."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    teacher_adaptation: Literal["lora", "full"] | None = None
    """How a teacher that runs beside the student was trained; its hardware plan depends on it."""
    task: str | None = None
    """Name of the task, for `select: metric`."""
    generation: GenerationConfig | None = None
    """How answers are generated, for `select: metric`."""
    rationale_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens that a rationale and a marker may take before each generated answer; 0: answers come alone."""

    @property
    def has_two_tasks(self) -> bool:
        """Whether rationales are learnt as a task of their own."""
        return self.objective == "stepwise" and self.training.stepwise.mode == "multi_task"
