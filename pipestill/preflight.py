"""What can be known to be missing before any work starts."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipestill import experiments
from pipestill.config import Config
from pipestill.tasks import TASKS

SPARE = 1 << 30  # bytes that logs, data and predictions may take
STATE_FACTOR = {"lora": 0.5, "full": 8.0}  # of a base model's bytes: weights, two checkpoints with optimizer states


def problems(
    config: Config,
    root: Path,
    models: Iterable[str],
    tasks: Iterable[str],
    trainings: Iterable[tuple[str, str]],
    checkpoints: Iterable[tuple[str, str]] = (),
    annotations: Iterable[str] = (),
) -> list[str]:
    """Sentences about what is missing: local models, local data, keys, and room on the disk.

    Args:
        config: the checked configuration.
        root: directory of the project, where shipped models are found.
        models: base models that will be taken.
        tasks: tasks whose raw data will be taken.
        trainings: (study, method) of each training job; models of the hub have unknown sizes and are not counted.
        checkpoints: (study, name) of each model on disk that will be taken.
        annotations: tasks whose rationales will be asked for.
    """
    found, needed = [], float(SPARE)
    for name in models:
        model = config.models[name]
        if model.source == "path" and model.locate(root) is None:
            found.append(f"models.{name}.path: {model.path} does not exist; name a model directory")
    for name in tasks:
        for key, path in config.tasks[name].local_files().items():
            exists = Path(path).exists() if TASKS[name].collection else Path(path).is_file()
            if not exists:
                found.append(f"tasks.{name}.{key}: {path} does not exist; put the data there, or name another file")
    for study, name in checkpoints:
        path = config.studies[study].checkpoints[name].path
        if not Path(path).is_dir():
            found.append(f"studies.{study}.checkpoints.{name}.path: {path} does not exist; name a model directory")
    for name in annotations:
        key = config.tasks[name].annotation.key_name()
        if key and not os.environ.get(key, "").strip():
            found.append(f"tasks.{name}.annotation: the environment variable {key} is not set; put the key there")
    for study, method in trainings:
        directory = config.models[experiments.base_model(config, study, method)].locate(root)
        size = sum(file.stat().st_size for file in directory.glob("*.safetensors")) if directory else 0
        needed += size * STATE_FACTOR[experiments.training(config, study, method).adaptation]
    free = shutil.disk_usage(Path()).free
    if free < needed:
        found.append(
            f"{Path().resolve()} has {free / 1e9:.1f} GB of free disk, but the run may need {needed / 1e9:.1f} GB"
        )
    return found
