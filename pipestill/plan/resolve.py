"""Settings of a study and its methods: the common ones, the study's over them, and the method's over those."""

import math
from functools import cache
from typing import Any, NamedTuple

from pydantic import create_model

from pipestill.answers.base import AnswerOptions
from pipestill.methods import ANNOTATOR_NAME, SFT, TEACHER_NAME, method_of
from pipestill.objectives.base import NoOptions
from pipestill.plan.config import OBJECTIVES, Config, StudyConfig, TaskConfig, Training
from pipestill.settings.annotation import RATIONALE
from pipestill.settings.models import HardwareConfig
from pipestill.settings.on_policy import OnPolicy
from pipestill.settings.prompts import Prompt
from pipestill.settings.section import Override, Section, partial
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import Task
from pipestill.text.marker import MARKER_TOKENS


class Resolved(NamedTuple):
    """Settings of one model's training: those of all objectives, and the options of its own."""

    training: TrainingConfig
    options: Section


def override_section(method: str) -> type[Override]:
    """The keys that an override for ``method`` may set: common settings, and those of its objective."""
    objective = method_of(method).objective
    return _override_section(objective.section, objective.settings) if objective else _override_section(None, NoOptions)


@cache
def _override_section(name: str | None, settings: type[Section]) -> type[Override]:
    own = {name: (settings, settings())} if name else {}
    return partial(
        create_model(f"{settings.__name__}Training" if own else "MethodTraining", __base__=TrainingConfig, **own)
    )


def resolve_training(common: Training, study: StudyConfig, method: str) -> Resolved:
    """Training of ``method`` (or ``teacher``) in ``study``: the common settings, the study's, those that the method
    has by itself, then the study's for the method; of a compressed student as :func:`resolve_recovery` says."""
    if method in study.compress:
        return resolve_recovery(common, study, method)
    settings, entry = common.model_dump(), method_of(method)
    if method != TEACHER_NAME:
        settings = merged(settings, study.training.model_dump())
    settings = merged(settings, dict(entry.training))
    if method in (TEACHER_NAME, SFT) or not entry.trains:
        settings["init"] = "base"  # a common `init: sft` is about those that can start from the SFT student
    if method in study.overrides:
        settings = merged(settings, study.overrides[method].model_dump())
    return _resolved(settings, method)


def resolve_recovery(common: Training, study: StudyConfig, name: str) -> Resolved:
    """Training of a compressed student: as that of the student which is compressed, with what is said of its recovery,
    of all weights; the options of its divergence are those that the method of its name has. Where nothing is trained,
    only the length of rows is of use."""
    compressed = study.compress[name]
    training = resolve_training(common, study, compressed.origin).training.model_dump()
    recover = compressed.training
    if recover is None:
        return Resolved(TrainingConfig(adaptation="full", max_length=training["max_length"]), NoOptions())
    given = recover.model_dump(exclude_none=True, exclude={"objective", "divergence"})
    changed = TrainingConfig.model_validate(training | given | {"adaptation": "full", "init": "base"})
    options = resolve_training(common, study, recover.method).options
    if recover.diverges:
        options = options.model_copy(update={"on_policy": OnPolicy()})  # it goes back to what was, on the same rows
    if recover.learns.parent:
        options = options.model_copy(update={"teacher": "online"})
    return Resolved(changed, options)


def resolve_annotator(common: Training, task: TaskConfig) -> Resolved:
    """Training of a local annotator, from its base model: the common settings, and the annotation's over them."""
    settings = merged(common.model_dump(), task.annotation.training.model_dump())
    return _resolved(settings | {"init": "base"}, ANNOTATOR_NAME)


def _resolved(settings: dict[str, Any], method: str) -> Resolved:
    objective = method_of(method).objective
    sections = {name: settings.pop(name) for name in OBJECTIVES}
    options = objective.settings.model_validate(sections.get(objective.section, {})) if objective else NoOptions()
    return Resolved(TrainingConfig.model_validate(settings), options)


def prompts_of(task: Task, config: TaskConfig) -> dict[str, Prompt]:
    """Prompts of a task by name, those of the configuration included."""
    return {**task.prompts, **config.prompts}


def prompt_name(config: Config, study: StudyConfig) -> str:
    """Name of the prompt that the models of a study are asked with."""
    return study.prompt or config.tasks[study.task].prompt


def rationale_tokens(task: TaskConfig, resolved: Resolved, method: str) -> int:
    """Tokens that the rationale before each answer may take, its marker included; 0 where answers come by themselves.

    A rationale is as long as the annotation may make it, or as `crop` leaves it, where characters stand for tokens.
    """
    objective = method_of(method).objective
    if objective is None or not objective.explains(resolved.options):
        return 0
    (asked,) = (step.max_tokens for step in task.annotation.steps if step.out == RATIONALE)
    written = 2 * asked if task.annotation.on_truncation == "retry" else asked
    return min(written, task.data.rationale_limit or written) + MARKER_TOKENS


def new_tokens(task: Task, options: AnswerOptions) -> int:
    """Tokens after which an answer is cut."""
    return options.max_new_tokens or task.answers.max_new_tokens


def most_rows(config: Config, study: StudyConfig, limit: int | None, share: float = 1) -> float:
    """Rows that a model of a study learns from at most, as far as the configuration says."""
    data = config.tasks[study.task].data
    made = data.rows if data.source == "synthetic" else math.inf
    return max(1, min(made, limit or math.inf) * share)


def resolve_hardware(common: HardwareConfig, study: StudyConfig) -> HardwareConfig:
    """Hardware of the jobs of ``study``: the common settings, and the study's over them."""
    return HardwareConfig.model_validate(merged(dict(common), study.hardware.model_dump()))


def merged(base: dict, override: dict) -> dict:
    """``base``, changed by what ``override`` has, section by section."""
    result = dict(base)
    for key, value in override.items():
        below = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if below else value
    return result
