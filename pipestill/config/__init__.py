"""The configuration: the one source of defaults, checks, the JSON Schema and the table in ``docs/config.md``."""

from pipestill.config.annotation import AnnotationConfig
from pipestill.config.check import check
from pipestill.config.data import CropConfig, FileConfig, SourceConfig, SplitsConfig, TaskConfig
from pipestill.config.jobs import PredictionSettings, ScoringSettings
from pipestill.config.models import BaseModelConfig, HardwareConfig
from pipestill.config.resolve import (
    resolve_annotator,
    resolve_hardware,
    resolve_new_tokens,
    resolve_rationale_tokens,
    resolve_training,
)
from pipestill.config.root import Config, StatisticsConfig
from pipestill.config.section import Section
from pipestill.config.study import CheckpointConfig, DistributionsConfig, GenerationConfig, StudyConfig
from pipestill.config.training import (
    MULTI_TASK_OPTIONS,
    DivergenceConfig,
    DpoConfig,
    LoraConfig,
    StepwiseConfig,
    TrainingConfig,
)

__all__ = [
    "MULTI_TASK_OPTIONS",
    "AnnotationConfig",
    "BaseModelConfig",
    "CheckpointConfig",
    "Config",
    "CropConfig",
    "DistributionsConfig",
    "DivergenceConfig",
    "DpoConfig",
    "FileConfig",
    "GenerationConfig",
    "HardwareConfig",
    "LoraConfig",
    "PredictionSettings",
    "ScoringSettings",
    "Section",
    "SourceConfig",
    "SplitsConfig",
    "StatisticsConfig",
    "StepwiseConfig",
    "StudyConfig",
    "TaskConfig",
    "TrainingConfig",
    "check",
    "resolve_annotator",
    "resolve_hardware",
    "resolve_new_tokens",
    "resolve_rationale_tokens",
    "resolve_training",
]
