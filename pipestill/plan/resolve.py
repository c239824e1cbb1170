"""Settings of a study and its methods: the common ones, the study's over them, and the method's over those."""

from typing import TYPE_CHECKING

from pipestill.methods import method_of
from pipestill.plan.study import StudyConfig
from pipestill.settings.annotation import RATIONALE
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import TASKS
from pipestill.text.marker import MARKER_TOKENS

if TYPE_CHECKING:
    from pipestill.plan.config import Config


def resolve_training(config: "Config", study: StudyConfig, method: str) -> TrainingConfig:
    """Training of ``method`` (or ``teacher``) in ``study``: the common settings, the study's, then the method's."""
    settings = config.training.model_dump()
    if method != "teacher":
        settings = _merge(settings, study.training.model_dump())
    if method in ("teacher", "sft") or not method_of(method).trains:
        settings["init"] = "base"  # a common `init: sft` is about those that can start from the SFT student
    if method in study.overrides:
        settings = _merge(settings, study.overrides[method].model_dump())
    return TrainingConfig.model_validate(settings)


def resolve_rationale_tokens(config: "Config", study: StudyConfig, method: str) -> int:
    """Tokens that the rationale before each answer may take, its marker included; 0 where answers come alone.

    A rationale is as long as the annotation may make it, or as `crop` leaves it, where characters stand for tokens.
    """
    is_stepwise = method_of(method).objective == "stepwise"
    if not is_stepwise or resolve_training(config, study, method).stepwise.mode == "multi_task":
        return 0
    task = config.tasks[study.task]
    (asked,) = (step.max_tokens for step in task.annotation.steps if step.out == RATIONALE)
    written = 2 * asked if task.annotation.on_truncation == "retry" else asked
    return min(written, task.crop.rationale or written) + MARKER_TOKENS


def resolve_new_tokens(config: "Config", study: StudyConfig, method: str) -> int:
    """Tokens after which the answers of a method are cut, rationales before them included."""
    new_tokens = study.generation.max_new_tokens or TASKS[study.task].max_new_tokens
    return new_tokens + resolve_rationale_tokens(config, study, method)


def resolve_annotator(config: "Config", task: str) -> TrainingConfig:
    """Training of the local annotator of ``task``: the common settings, and the annotation's over them."""
    settings = config.training.model_dump() | {"init": "base"}
    return TrainingConfig.model_validate(_merge(settings, config.tasks[task].annotation.training.model_dump()))


def resolve_hardware(config: "Config", study: StudyConfig) -> HardwareConfig:
    """Hardware of the jobs of ``study``: the common settings, and the study's over them."""
    return HardwareConfig.model_validate(_merge(config.hardware.model_dump(), study.hardware.model_dump()))


def _merge(base: dict, override: dict) -> dict:
    merged = dict(base)
    for key, value in override.items():
        merged[key] = _merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return merged
