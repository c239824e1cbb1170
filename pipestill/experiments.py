"""What the rules ask: which experiments and runs there are, and what each job of them needs to be told."""

from typing import Any

from pipestill.config import Config, StudyConfig, TrainingConfig, resolve_training
from pipestill.digests import json_digest
from pipestill.methods import method_of
from pipestill.tasks import TASKS

BASE_SEED = 0  # an untrained model has one run


def studies(config: Config) -> dict[str, StudyConfig]:
    """The studies that ``all`` builds."""
    return {name: config.studies[name] for name in config.run}


def experiments(config: Config) -> list[tuple[str, str]]:
    """(study, method) of each row of the report: the methods, and the teacher where there is one."""
    return [
        (name, method)
        for name, study in studies(config).items()
        for method in [*study.methods, *(["teacher"] if study.teacher else [])]
    ]


def seeds(config: Config, study: str, method: str) -> list[int]:
    """Seeds of an experiment's runs: its study's; the lowest for the teacher, ``BASE_SEED`` for the untrained."""
    if not method_of(method).trains:
        return [BASE_SEED]
    own = config.studies[study].seeds or config.seeds
    return [min(own)] if method == "teacher" else own


def base_model(config: Config, study: str, method: str) -> str:
    """Name of the base model that an experiment starts from."""
    settings = config.studies[study]
    return settings.teacher if method == "teacher" else settings.student


def training(config: Config, study: str, method: str) -> TrainingConfig:
    """Training settings of a method in a study."""
    return resolve_training(config, config.studies[study], method)


def training_settings(config: Config, study: str, method: str) -> dict[str, Any]:
    """What a training job is told: exactly the settings that its objective uses."""
    settings, objective = training(config, study, method), method_of(method).objective
    unused = set() if objective == "dpo" else {"dpo"}
    unused |= set() if settings.adaptation == "lora" else {"lora"}
    return {
        "objective": objective,
        "training": settings.model_dump(exclude=unused),
        "hardware": config.hardware.model_dump(),
    }


def asks_teacher(config: Config, study: str, file: str) -> bool:
    """Whether a training file is made of the teacher's outputs."""
    if config.studies[study].teacher is None:
        return False
    confusable = file == "dpo" and training(config, study, "dpo").dpo.rejected == "confusable"
    return file == "kd" or confusable


def scoring_settings(config: Config, study: str, method: str, code: str) -> dict[str, Any]:
    """What a job that asks a model is told; ``code`` is the digest of the job's code."""
    trained = training(config, study, method)
    task = config.studies[study].task
    return {
        "task": task,
        "max_prompt_tokens": trained.max_length - TASKS[task].max_new_tokens,
        "adaptation": trained.adaptation,
        "hardware": config.hardware.model_dump(),
        "code": code,
    }


def prediction_settings(config: Config, study: str, method: str, code: str) -> dict[str, Any]:
    """What a prediction job is told."""
    settings = config.studies[study]
    return {
        **scoring_settings(config, study, method, code),
        "null_inputs": config.tasks[settings.task].null_inputs,
        "calibration": settings.calibration,
        "max_chars": config.tasks[settings.task].max_chars,
    }


def notes(config: Config, study: str, method: str) -> list[str]:
    """Sentences that every table shows with an experiment."""
    entry, settings = method_of(method), config.studies[study]
    if method == "teacher" and config.tasks[settings.task].splits.teacher_share == 0:
        return ["The teacher was trained on the students' training rows."]
    if entry.teacher == "optional" and settings.teacher is None:
        return [f"{entry.title} was trained on gold outputs, since the study has no teacher."]
    return []


def settings_of(config: Config, study: str, method: str) -> dict[str, Any]:
    """Every setting that an experiment's numbers depend on, those of the models that it learns from included."""
    settings, entry = config.studies[study], method_of(method)
    depends: dict[str, Any] = {
        "task": config.tasks[settings.task].model_dump(),
        "base_model": config.models[base_model(config, study, method)].model_dump(),
        "calibration": settings.calibration,
        "hardware": config.hardware.model_dump(),
        "statistics": config.statistics.model_dump(),
    }
    if entry.trains:
        per_class = settings.teacher_per_class if method == "teacher" else settings.train_per_class
        depends |= {"training": training_settings(config, study, method), "train_per_class": per_class}
        if training(config, study, method).init == "sft":
            depends["sft"] = settings_of(config, study, "sft")
        if asks_teacher(config, study, entry.training_file):
            depends["teacher"] = settings_of(config, study, "teacher")
    return depends


def experiment(config: Config, study: str, method: str) -> dict[str, Any]:
    """What an evaluation job is told: who took part, and every setting that its numbers depend on."""
    settings, entry = config.studies[study], method_of(method)
    task = TASKS[settings.task]
    depends = settings_of(config, study, method)
    return {
        "experiment": f"{study}_{method}",
        "study": study,
        "task": settings.task,
        "method": method,
        "method_title": entry.title,
        "method_summary": entry.summary,
        "student": settings.student,
        "teacher": settings.teacher,
        "source": config.tasks[settings.task].source,
        "notes": notes(config, study, method),
        "primary_metric": task.primary_metric,
        "labels": list(task.labels),
        "settings": depends,
        "config_sha256": json_digest(depends),
    }
