"""Sections about studies."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.config.section import Count, Name, Section, Seed
from pipestill.config.training import TrainingOverride


class StudyConfig(Section):
    """One comparison: a task, a student, a teacher and the methods to compare."""

    task: Name
    """A key of `tasks`."""
    student: Name
    """A key of `models`."""
    teacher: Name | None = None
    """A key of `models`, fine-tuned on the teacher split; none: `kd` learns from gold outputs."""
    methods: Annotated[list[str], Field(min_length=1)]
    """Methods to compare."""
    seeds: list[Seed] | None = None
    """Training seeds of this study, where they differ from the common ones."""
    train_per_class: Count | None = None
    """Training rows of each class at most; the smallest class is a limit too."""
    teacher_per_class: Count | None = None
    """The same for the teacher's training rows."""
    calibration: Literal["auto", "none", "multi_null", "domain_conditional", "pmi", "batch"] = "auto"
    """Prior that is subtracted from label scores; `auto`: the best on validation rows."""
    training: TrainingOverride = TrainingOverride()
    """Overrides of the common `training` for the students of this study."""
    overrides: dict[str, TrainingOverride] = {}
    """Overrides for single methods, and for `teacher`."""
