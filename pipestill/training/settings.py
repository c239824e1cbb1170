"""What a training job is told by its rule."""

from typing import Literal

from pipestill.config import HardwareConfig, Section, TrainingConfig


class TrainingSettings(Section):
    """The settings of one training job."""

    objective: Literal["cross_entropy", "dpo"]
    """The loss."""
    training: TrainingConfig
    """How the model is trained."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
