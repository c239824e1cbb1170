"""Settings of a study and its methods: the common ones, the study's over them, and the method's over those."""

from typing import TYPE_CHECKING

from pipestill.config.models import HardwareConfig
from pipestill.config.study import StudyConfig
from pipestill.config.training import TrainingConfig
from pipestill.methods import method_of

if TYPE_CHECKING:
    from pipestill.config.root import Config


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
