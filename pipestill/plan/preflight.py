"""What can be known to be missing before any work starts."""

import os
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.metrics.bertscore import published_baseline, read_baseline
from pipestill.plan import experiments
from pipestill.plan.config import Config
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
    bertscores: Iterable[str] = (),
    challenges: Iterable[str] = (),
    annotations: Iterable[str] = (),
) -> list[str]:
    """Sentences about what is missing: local models and what is asked of them, local data, keys, and room on the disk.

    Args:
        config: the checked configuration.
        root: directory of the project, where shipped models are found.
        models: base models that will be taken.
        tasks: tasks whose raw data will be taken.
        trainings: (study, method) of each training job; models of the hub have unknown sizes and are not counted.
        checkpoints: (study, name) of each model on disk that will be taken.
        bertscores: studies whose answers will be scored by BERTScore.
        challenges: studies for which documents of a challenge will be taken.
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
    for study in bertscores:
        found += _bertscore_problems(config, root, study)
    for study in challenges:
        for name, file in config.studies[study].submission.documents.items():
            if file.path is not None and not Path(file.path).exists():
                key = f"studies.{study}.submission.documents.{name}.path"
                found.append(f"{key}: {file.path} does not exist; put the documents there, or name another file")
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


def _bertscore_problems(config: Config, root: Path, study: str) -> list[str]:
    """What a local encoder and the baselines that the library ships lack of what a study asks for."""
    settings, task, found = config.studies[study].bertscore, config.studies[study].task, []
    layers = _layers(config.models[settings.encoder].locate(root))
    if layers is not None and settings.layer > layers:
        found.append(
            f"studies.{study}.bertscore.layer: `{settings.encoder}` has {layers} layers; give one of 0 to {layers}"
        )
    if settings.baseline in (None, "corpus") or find_spec("bert_score") is None:  # jobs may have environments
        return found
    failures = []
    languages = config.tasks[task].test_sets_of(TASKS[task])
    for language in languages:
        try:
            read_baseline(published_baseline(settings.baseline, language), settings.layer)
        except UserError as error:
            failures.append(str(error))
    if len(failures) == len(languages):  # of some languages there may be no documents
        found.append(f"studies.{study}.bertscore.baseline: {failures[0]}")
    return found


def _layers(directory: Path | None) -> int | None:
    """How many layers the configuration of a local model says that it has."""
    if directory is None or not (directory / "config.json").is_file():
        return None
    return read_json(directory / "config.json").get("num_hidden_layers")
