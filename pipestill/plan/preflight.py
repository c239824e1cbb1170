"""Checks of files, keys and disk before any work starts."""

import math
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from pipestill.errors import UserError, shortened
from pipestill.metrics.bertscore import published_baseline, read_baseline
from pipestill.plan.model_problems import ModelProblems
from pipestill.plan.needs import Needs
from pipestill.plan.plan import Plan
from pipestill.plan.resolve import most_rows
from pipestill.plan.shares import origin
from pipestill.settings.training import Adaptation
from pipestill.text.sentences import split_sentences

PATH = 200  # characters of a path that a sentence repeats
SPARE = 1 << 30  # bytes that logs, data and predictions may take
# Of a base model's bytes: weights, two checkpoints with optimizer states.
STATE_FACTOR: dict[Adaptation, float] = {"lora": 0.5, "full": 8.0, "biases": 2.5}


def problems(plan: Plan, needs: Needs) -> list[str]:
    """Sentences about what is missing: local models and what is asked of them, local data, keys, room on the disk."""
    found, config = [], plan.config
    for name in needs.models:
        model = config.models[name]
        if model.source == "path" and model.locate(plan.root) is None:
            found += _no_directory(f"models.{name}.path", model.path)
    for name in needs.tasks:
        found += _data_problems(plan, name)
    for study, name in needs.checkpoints:
        path = config.studies[study].checkpoints[name].path
        found += _no_directory(f"studies.{study}.checkpoints.{name}.path", path)
    found += ModelProblems(plan)(needs)
    for study in needs.judged:
        found += _judging_problems(plan, study)
    for study in needs.bertscores:
        found += _baseline_problems(plan, study)
    for study in needs.challenges:
        for name, file in config.studies[study].submission.documents.items():
            if file.path is not None and not Path(file.path).exists():
                key = f"studies.{study}.submission.documents.{name}.path"
                found.append(
                    f"{key}: {shortened(file.path, PATH)} does not exist; put the documents there, or name another file"
                )
    for name in needs.unlabelled:
        file = config.studies[name].unlabelled.file
        if file is not None and not Path(file).is_file():
            fault = "is a directory" if Path(file).is_dir() else "does not exist"
            found.append(f"studies.{name}.unlabelled.file: {shortened(file, PATH)} {fault}; name a file of inputs")
    for name in needs.annotations:
        found += _annotation_problems(plan, name)
    for study in needs.curves:
        found += _curve_problems(plan, study)
    return found + _disk_problems(plan, needs)


def _judging_problems(plan: Plan, name: str) -> list[str]:
    """Models whose answers must not be measured in the way of their study."""
    study, models = plan.study(name), plan.config.models
    named = {role: models[model] for role in ("student", "teacher") if (model := getattr(study, role))}
    for key, checkpoint in study.checkpoints.items():
        named[f"checkpoints.{key}"] = models[checkpoint.model] if checkpoint.model else None
    try:
        plan.task(name).answers.check_models(study.answers, named)
    except ValueError as error:
        return [f"studies.{origin(name)}.answers.{error}"]
    return []


def _no_directory(key: str, path: str) -> list[str]:
    if Path(path).is_dir():
        return []
    fault = "is a file" if Path(path).exists() else "does not exist"
    return [f"{key}: {shortened(path, PATH)} {fault}; name a model directory"]


def _data_problems(plan: Plan, name: str) -> list[str]:
    """Local files that are missing, or folders where files are read, and models of sentences that are not there."""
    task, kind, found = plan.config.tasks[name], plan.config.task(name), []
    layout = kind.layout
    for key, path in layout.local_files(task.data).items():
        place = f"tasks.{name}.data.{key}: {shortened(path, PATH)}"
        if not path.exists():
            found.append(f"{place} does not exist; put the data there, or name another file")
        elif path.is_dir() and not layout.folders:
            found.append(f"{place} is a directory; name a file")
    if find_spec("nltk") is not None:  # jobs may have environments
        try:
            for language in layout.test_sets(task.data) if kind.languages and task.splitter == "punkt" else ():
                split_sentences("", language, task.splitter)
        except UserError as error:
            found.append(f"tasks.{name}.splitter: {error}")
    return found


def _annotation_problems(plan: Plan, name: str) -> list[str]:
    """A key that is missing, and a ledger that has no directory."""
    annotation, found = plan.config.tasks[name].annotation, []
    key, ledger = annotation.key_name(), Path(annotation.ledger)
    if key and not os.environ.get(key, "").strip():
        found.append(f"tasks.{name}.annotation: the environment variable {key} is not set; put the key there")
    if ledger.exists() and not ledger.is_dir():
        found.append(f"tasks.{name}.annotation.ledger: {shortened(ledger, PATH)} is a file; name a directory")
    return found


def _curve_problems(plan: Plan, study: str) -> list[str]:
    """Shares of so few rows that they are none, or the same as those of another share."""
    settings, strata = plan.study(study), len(plan.task(study).answers.strata)
    most = most_rows(plan.config, settings, settings.train_rows, settings.train_share) / strata
    if most == math.inf:
        return []
    sizes = [round(share * most) for share in settings.learning_curve]
    if sizes[0] and len(set(sizes)) == len(sizes):
        return []
    shares = ", ".join(f"{size * strata}" for size in sizes)
    return [
        f"studies.{study}.learning_curve: its shares are {shares} rows, at most; give shares of rows that differ, or "
        "raise `train_rows`"
    ]


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


def _baseline_problems(plan: Plan, study: str) -> list[str]:
    """Baselines that the library does not ship."""
    settings = plan.study(study).answers.bertscore
    if settings.baseline in (None, "corpus") or find_spec("bert_score") is None:  # jobs may have environments
        return []
    failures = []
    languages = plan.task(study).layout.test_sets(plan.task_config(study).data)
    for language in languages:
        try:
            read_baseline(published_baseline(settings.baseline, language), settings.layer)
        except UserError as error:
            failures.append(str(error))
    if len(failures) < len(languages):  # of some languages there may be no documents
        return []
    return [f"studies.{study}.answers.bertscore.baseline: {failures[0]}"]
