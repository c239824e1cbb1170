"""Checks of files, keys and disk before any work starts."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.metrics.bertscore import published_baseline, read_baseline
from pipestill.plan.plan import Plan
from pipestill.tasks import TASKS

SPARE = 1 << 30  # bytes that logs, data and predictions may take
STATE_FACTOR = {"lora": 0.5, "full": 8.0}  # of a base model's bytes: weights, two checkpoints with optimizer states


@dataclass(frozen=True)
class Needs:
    """Needs of the planned jobs.

    Attributes:
        models: base models.
        tasks: tasks whose raw data are taken.
        trainings: (study, method) of each training job; models of the hub have unknown sizes and are not counted.
        checkpoints: (study, name) of each model on disk.
        bertscores: studies whose answers are scored by BERTScore.
        challenges: studies for which documents of a challenge are taken.
        annotations: tasks whose rationales are asked for.
    """

    models: Sequence[str] = ()
    tasks: Sequence[str] = ()
    trainings: Sequence[tuple[str, str]] = ()
    checkpoints: Sequence[tuple[str, str]] = ()
    bertscores: Sequence[str] = ()
    challenges: Sequence[str] = ()
    annotations: Sequence[str] = ()


def problems(plan: Plan, needs: Needs) -> list[str]:
    """Sentences about what is missing: local models and what is asked of them, local data, keys, room on the disk."""
    found, config = [], plan.config
    for name in needs.models:
        model = config.models[name]
        if model.source == "path" and model.locate(plan.root) is None:
            found.append(f"models.{name}.path: {model.path} does not exist; name a model directory")
    for name in needs.tasks:
        for key, path in TASKS[name].layout.local_files(config.tasks[name].data).items():
            if not path.exists():
                found.append(
                    f"tasks.{name}.data.{key}: {path} does not exist; put the data there, or name another file"
                )
    for study, name in needs.checkpoints:
        path = config.studies[study].checkpoints[name].path
        if not Path(path).is_dir():
            found.append(f"studies.{study}.checkpoints.{name}.path: {path} does not exist; name a model directory")
    for study in needs.bertscores:
        found += _bertscore_problems(plan, study)
    for study in needs.challenges:
        for name, file in config.studies[study].submission.documents.items():
            if file.path is not None and not Path(file.path).exists():
                key = f"studies.{study}.submission.documents.{name}.path"
                found.append(f"{key}: {file.path} does not exist; put the documents there, or name another file")
    for name in needs.annotations:
        key = config.tasks[name].annotation.key_name()
        if key and not os.environ.get(key, "").strip():
            found.append(f"tasks.{name}.annotation: the environment variable {key} is not set; put the key there")
    return found + _disk_problems(plan, needs)


def _disk_problems(plan: Plan, needs: Needs) -> list[str]:
    needed = float(SPARE)
    for study, method in needs.trainings:
        directory = plan.config.models[plan.base_model(study, method)].locate(plan.root)
        size = sum(file.stat().st_size for file in directory.glob("*.safetensors")) if directory else 0
        needed += size * STATE_FACTOR[plan.training(study, method).training.adaptation]
    free = shutil.disk_usage(Path()).free
    if free >= needed:
        return []
    return [f"{Path().resolve()} has {free / 1e9:.1f} GB of free disk, but the run may need {needed / 1e9:.1f} GB"]


def _bertscore_problems(plan: Plan, study: str) -> list[str]:
    """Layers that a local encoder lacks, and baselines that the library does not ship."""
    settings, found = plan.study(study).answers.bertscore, []
    layers = _layers(plan.config.models[settings.encoder].locate(plan.root))
    if layers is not None and settings.layer > layers:
        found.append(
            f"studies.{study}.answers.bertscore.layer: `{settings.encoder}` has {layers} layers; give 0 to {layers}"
        )
    if settings.baseline in (None, "corpus") or find_spec("bert_score") is None:  # jobs may have environments
        return found
    failures = []
    languages = plan.task(study).layout.test_sets(plan.task_config(study).data)
    for language in languages:
        try:
            read_baseline(published_baseline(settings.baseline, language), settings.layer)
        except UserError as error:
            failures.append(str(error))
    if len(failures) == len(languages):  # of some languages there may be no documents
        found.append(f"studies.{study}.answers.bertscore.baseline: {failures[0]}")
    return found


def _layers(directory: Path | None) -> int | None:
    """Layers of a local model, by its configuration."""
    if directory is None or not (directory / "config.json").is_file():
        return None
    return read_json(directory / "config.json").get("num_hidden_layers")
