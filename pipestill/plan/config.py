"""The whole configuration, and what its sections say together."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from pipestill.methods import METHODS
from pipestill.plan.annotation_checks import check_annotation
from pipestill.plan.data import TaskConfig
from pipestill.plan.data_checks import check_data
from pipestill.plan.study import StudyConfig
from pipestill.plan.study_checks import check_models, check_task, check_training
from pipestill.settings.models import BaseModelConfig, HardwareConfig
from pipestill.settings.section import Count, Name, Section, Seed
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS


class StatisticsConfig(Section):
    """Intervals and tests."""

    resamples: Annotated[int, Field(ge=100)] = 10000
    """Bootstrap resamples."""
    seed: Seed = 0
    """Seed of the bootstrap."""


class Config(Section):
    """The whole configuration."""

    run: Annotated[list[Name], Field(min_length=1)]
    """Studies that `snakemake all` builds."""
    seeds: Annotated[list[Seed], Field(min_length=1)] = [1, 2, 3]
    """Training seeds; the teacher takes the lowest."""
    threads: Count = 1
    """Threads of a job that runs a model; small models gain more from several jobs side by side."""
    models: dict[Name, BaseModelConfig]
    """Base models, by name."""
    tasks: dict[Name, TaskConfig]
    """Data of the tasks, by task."""
    studies: dict[Name, StudyConfig]
    """Comparisons, by name."""
    training: TrainingConfig = TrainingConfig()
    """How students and teachers are trained, unless a study overrides it."""
    hardware: HardwareConfig = HardwareConfig()
    """Choice of device, precision and quantisation."""
    statistics: StatisticsConfig = StatisticsConfig()
    """Intervals and tests."""

    @model_validator(mode="after")
    def _names_exist(self):
        for name in self.run:
            _known(name, self.studies, "run", "studies")
        for name in self.tasks:
            _known(name, TASKS, f"tasks.{name}", "the tasks of this version")
            check_data(f"tasks.{name}", self.tasks[name], TASKS[name])
            if (tokenizer := self.tasks[name].crop.tokenizer) is not None:
                _known(tokenizer, self.models, f"tasks.{name}.crop.tokenizer", "models")
            if (annotation := self.tasks[name].annotation) is not None:
                if annotation.provider == "local":
                    _known(annotation.model, self.models, f"tasks.{name}.annotation.model", "models")
                check_annotation(f"tasks.{name}.annotation", annotation, TASKS[name])
        _unique(self.seeds, "seeds")
        for name, study in self.studies.items():
            self._check_study(f"studies.{name}", study)
        return self

    def _check_study(self, path: str, study: StudyConfig) -> None:
        _known(study.task, self.tasks, f"{path}.task", "tasks")
        _known(study.student, self.models, f"{path}.student", "models")
        if study.teacher is not None:
            _known(study.teacher, self.models, f"{path}.teacher", "models")
        elif study.pretrained_teacher:
            raise ValueError(f"{path}.pretrained_teacher: there is no teacher; set `{path}.teacher`")
        _unique(study.methods, f"{path}.methods")
        _unique(study.generation.sampling_seeds, f"{path}.generation.sampling_seeds")
        if study.seeds is not None:
            _unique(study.seeds, f"{path}.seeds")
            if not study.seeds:
                raise ValueError(f"{path}.seeds: at least one seed is needed")
        for method in study.methods:
            _known(method, METHODS, f"{path}.methods", "the methods of this version")
            if METHODS[method].teacher == "required" and study.teacher is None:
                raise ValueError(f"{path}: method `{method}` needs a teacher; set `{path}.teacher`")
        for method in study.overrides:
            _known(method, [*study.methods, "teacher"], f"{path}.overrides", "the methods of the study")
        for name, checkpoint in study.checkpoints.items():
            if name in METHODS or name == "teacher":
                raise ValueError(f"{path}.checkpoints: `{name}` is the name of a method; choose another one")
            for key in ("base", "model"):
                if (model := getattr(checkpoint, key)) is not None:
                    _known(model, self.models, f"{path}.checkpoints.{name}.{key}", "models")
        if study.bertscore.encoder is not None:
            _known(study.bertscore.encoder, self.models, f"{path}.bertscore.encoder", "models")
        check_models(self, path, study)
        check_task(self, path, study)
        check_training(self, path, study)


def _known(name: str, known: Any, path: str, where: str) -> None:
    if name not in known:
        raise ValueError(f"{path}: `{name}` is not defined in {where} ({', '.join(known)})")


def _unique(values: list, path: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{path}: `{value}` is listed twice")
