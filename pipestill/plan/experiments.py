"""What the rules ask: which experiments and runs there are, and what each job of them needs to be told."""

from typing import Any

from pipestill.io.digests import json_digest
from pipestill.losses.kinds import KINDS
from pipestill.methods import PRETRAINED_TEACHER, Method, method_of
from pipestill.plan.config import Config
from pipestill.plan.resolve import (
    resolve_annotator,
    resolve_hardware,
    resolve_new_tokens,
    resolve_rationale_tokens,
    resolve_training,
)
from pipestill.plan.shares import at_share
from pipestill.plan.study import StudyConfig
from pipestill.settings.training import MULTI_TASK_OPTIONS, TrainingConfig
from pipestill.tasks import TASKS

RATIONALES_DEPEND_ON = {
    *("provider", "model", "steps", "splits", "temperature", "top_p", "seed", "extra_body", "routing"),
    *("on_truncation", "allow_missing"),
}
BASE_SEED = 0  # an untrained model has one run


def studies(config: Config) -> dict[str, StudyConfig]:
    """The studies that ``all`` builds."""
    return {name: config.studies[name] for name in config.run}


def experiments(config: Config) -> list[tuple[str, str]]:
    """(study, method) of each row of the report: the methods, checkpoints, and the teacher where there is one."""
    return [
        (name, method)
        for name, study in studies(config).items()
        for method in [*study.methods, *study.checkpoints, *(["teacher"] if study.teacher else [])]
    ]


def entry_of(config: Config, study: str, method: str) -> Method:
    """What a study does for one row of its tables."""
    if method == "teacher" and config.studies[study].pretrained_teacher:
        return PRETRAINED_TEACHER
    return method_of(method)


def seeds(config: Config, study: str, method: str) -> list[int]:
    """Seeds of an experiment's runs: its study's; the lowest for the teacher, ``BASE_SEED`` for the untrained."""
    if not entry_of(config, study, method).trains:
        return [BASE_SEED]
    own = config.studies[study].seeds or config.seeds
    return [min(own)] if method == "teacher" else own


def base_model(config: Config, study: str, method: str) -> str:
    """Name of the base model that an experiment starts from."""
    settings = config.studies[study]
    if method in settings.checkpoints:
        return settings.checkpoints[method].model or settings.checkpoints[method].base or settings.student
    return settings.teacher if method == "teacher" else settings.student


def training(config: Config, study: str, method: str) -> TrainingConfig:
    """Training settings of a method in a study."""
    return resolve_training(config, config.studies[study], method)


def hardware(config: Config, study: str) -> dict[str, Any]:
    """What the jobs of a study may use."""
    return resolve_hardware(config, config.studies[study]).model_dump()


def training_settings(config: Config, study: str, method: str) -> dict[str, Any]:
    """What a training job is told: exactly the settings that its objective uses."""
    settings, entry = training(config, study, method), method_of(method)
    by_metric = settings.select == "metric"
    beside = entry.objective == "divergence" and settings.divergence.teacher == "online"
    unused: dict[str, Any] = {
        "dpo": entry.objective != "dpo",
        "stepwise": _unused_stepwise(settings) if entry.objective == "stepwise" else True,
        "divergence": _unused_options(entry.divergence) if entry.divergence else True,
        "lora": settings.adaptation == "full",
        "selection_rows": not by_metric,
        "keep_best": not by_metric,
    }
    return {
        "objective": entry.objective,
        "divergence": entry.divergence,
        "training": settings.model_dump(exclude={key: value for key, value in unused.items() if value}),
        "hardware": hardware(config, study),
        "task": config.studies[study].task if by_metric else None,
        "generation": config.studies[study].generation.model_dump() if by_metric else None,
        "rationale_tokens": resolve_rationale_tokens(config, config.studies[study], method),
        "teacher_adaptation": training(config, study, "teacher").adaptation if beside else None,
    }


def _unused_options(kind: str) -> set[str]:
    """Options of divergences that ``kind`` does not have."""
    return {name for entry in KINDS.values() for name in entry.options.model_fields} - _own_options(kind)


def _own_options(kind: str) -> set[str]:
    return set(KINDS[kind].options.model_fields) if kind in KINDS else set()


def _unused_stepwise(settings: TrainingConfig) -> set[str]:
    return MULTI_TASK_OPTIONS if settings.stepwise.mode == "single_task" else set()


def divergences(config: Config, study: str, teacher: str) -> list[str]:
    """Methods of a study that learn from the teacher's distributions, ``online`` or ``cached``."""
    return [
        method
        for method in config.studies[study].methods
        if method_of(method).objective == "divergence" and training(config, study, method).divergence.teacher == teacher
    ]


def distribution_settings(config: Config, study: str, code: str) -> dict[str, Any]:
    """What a job is told that captures the teacher's distributions, for all methods that read them."""
    settings = config.studies[study]
    reader = training(config, study, divergences(config, study, "cached")[0])  # in what counts here all are alike
    return {
        **settings.distributions.model_dump(exclude=_unused_codec_options(settings.distributions.codec)),
        "temperature": reader.divergence.temperature,
        "max_length": reader.max_length,
        "adaptation": training(config, study, "teacher").adaptation,
        "hardware": hardware(config, study),
        "code": code,
    }


def _unused_codec_options(codec: str) -> set[str]:
    return {"shards"} | {"full": {"k", "draws"}, "topk": {"draws"}, "sample": {"k"}}[codec]


def fidelity_settings(config: Config, study: str) -> dict[str, Any]:
    """What the job is told that compares gradients from the cache with exact ones: how each method would use it."""
    methods = divergences(config, study, "cached")
    options = {method: training(config, study, method).divergence for method in methods}
    return {
        "study": study,
        "kinds": {
            method_of(method).divergence: {"tail": options[method].tail, **kind_options(config, study, method)}
            for method in methods
        },
        "hardware": hardware(config, study),
        "adaptation": training(config, study, "teacher").adaptation,
    }


def kind_options(config: Config, study: str, method: str) -> dict[str, Any]:
    """Options of a method's divergence that are given; the kind has defaults for the others."""
    given = training(config, study, method).divergence
    options = {option: getattr(given, option) for option in _own_options(method_of(method).divergence)}
    return {option: value for option, value in options.items() if value is not None}


def asks_teacher(config: Config, study: str, file: str) -> bool:
    """Whether a training file is made of the teacher's outputs."""
    if config.studies[study].teacher is None:
        return False
    confusable = file == "dpo" and training(config, study, "dpo").dpo.rejected == "confusable"
    return file == "kd" or confusable


def scoring_settings(config: Config, study: str, method: str, code: str) -> dict[str, Any]:
    """What a job that asks a model is told; ``code`` is the digest of the job's code."""
    trained = training(config, study, method)
    settings = config.studies[study]
    new_tokens = resolve_new_tokens(config, settings, method)
    return {
        "task": settings.task,
        "max_prompt_tokens": trained.max_length - new_tokens,
        "max_new_tokens": new_tokens,
        "adaptation": trained.adaptation,
        "hardware": hardware(config, study),
        "code": code,
    }


def prediction_settings(config: Config, study: str, method: str, code: str) -> dict[str, Any]:
    """What a prediction job is told."""
    settings = config.studies[study]
    task = config.tasks[settings.task]
    return {
        **scoring_settings(config, study, method, code),
        "null_inputs": task.null_inputs,
        "calibration": settings.calibration,
        "max_chars": task.max_chars,
        "crop": task.crop.model_dump() if TASKS[settings.task].collection else None,
        "splitter": task.splitter,
        "template": task.template,
        "rationale_tokens": resolve_rationale_tokens(config, settings, method),
        "generation": None if TASKS[settings.task].ranks_labels else settings.generation.model_dump(),
    }


def training_rows(config: Config, study: str, file: str) -> int | None:
    """Rows of a training file at most: of each class in tasks that have classes."""
    settings = config.studies[study]
    per_class = TASKS[settings.task].ranks_labels
    if file == "teacher":
        return settings.teacher_per_class if per_class else settings.teacher_rows
    return settings.train_per_class if per_class else settings.train_rows


def training_share(config: Config, study: str, file: str) -> float:
    """Share of a training file's rows that are taken, of those that :func:`training_rows` lets in."""
    return 1.0 if file == "teacher" else config.studies[study].train_share


def learning_curve(config: Config, study: str) -> list[tuple[str, str]]:
    """(study, method) of each point of a learning curve: the untrained student, and what is trained, at every share.

    The studies at shares are those that :func:`~pipestill.plan.shares.with_shares` makes.
    """
    settings = config.studies[study]
    trained = [method for method in settings.methods if method_of(method).trains]
    points = [(at_share(study, share), method) for share in settings.learning_curve for method in trained]
    return [*([(study, "base")] if "base" in settings.methods else []), *points]


def notes(config: Config, study: str, method: str) -> list[str]:
    """Sentences that every table shows with an experiment."""
    entry, settings = entry_of(config, study, method), config.studies[study]
    if method == "teacher" and entry.trains and config.tasks[settings.task].splits.teacher_share == 0:
        return ["The teacher was trained on the students' training rows."]
    found = []
    if entry.teacher == "optional" and settings.teacher is None:
        found.append(f"{entry.title} was trained on gold outputs, since the study has no teacher.")
    if resolve_rationale_tokens(config, settings, method):
        found.append(f"{entry.title} was trained in its single-task variant: it writes a rationale before each answer.")
    if entry.trains and training_share(config, study, entry.training_file) < 1:
        found.append(f"Students were trained on {100 * settings.train_share:.10g} % of the training rows.")
    return found


def settings_of(config: Config, study: str, method: str) -> dict[str, Any]:
    """Every setting that an experiment's numbers depend on, those of the models that it learns from included."""
    settings, entry = config.studies[study], entry_of(config, study, method)
    ranks_labels = TASKS[settings.task].ranks_labels
    depends: dict[str, Any] = {
        "task": config.tasks[settings.task].model_dump(exclude={"annotation"}),
        "statistics": config.statistics.model_dump(),
    }
    if entry.model:
        asked = (
            {"calibration": settings.calibration} if ranks_labels else {"generation": settings.generation.model_dump()}
        )
        base = config.models[base_model(config, study, method)].model_dump()
        depends |= {"base_model": base, "hardware": hardware(config, study), **asked}
    if settings.bertscore.encoder is not None:
        encoder = config.models[settings.bertscore.encoder]
        depends["bertscore"] = {**settings.bertscore.model_dump(), "model": encoder.model_dump()}
    if method in settings.checkpoints:
        depends["checkpoint"] = settings.checkpoints[method].model_dump(exclude_none=True)
    if entry.trains:
        file = "teacher" if method == "teacher" else "train"
        depends |= {
            "training": training_settings(config, study, method),
            "train_per_class" if ranks_labels else "train_rows": training_rows(config, study, file),
        }
        if (share := training_share(config, study, file)) < 1:
            depends["train_share"] = share
        if training(config, study, method).init == "sft":
            depends["sft"] = settings_of(config, study, "sft")
        if entry.objective == "divergence" or asks_teacher(config, study, entry.training_file):
            depends["teacher"] = settings_of(config, study, "teacher")
        if entry.objective == "stepwise":
            depends["annotation"] = annotation_identity(config, settings.task)
        if method in divergences(config, study, "cached"):
            depends["distributions"] = settings.distributions.model_dump(exclude={"shards"})
    return depends


def experiment(config: Config, study: str, method: str) -> dict[str, Any]:
    """What an evaluation job is told: who took part, and every setting that its numbers depend on."""
    settings, entry = config.studies[study], entry_of(config, study, method)
    task = TASKS[settings.task]
    depends = settings_of(config, study, method)
    return {
        "experiment": f"{study}_{method}",
        "study": study,
        "task": settings.task,
        "method": method,
        "method_title": entry.title,
        "method_summary": entry.summary,
        "student": settings.student if entry.model else None,
        "teacher": settings.teacher,
        "annotator": annotator(config, settings.task) if entry.objective == "stepwise" else None,
        "source": config.tasks[settings.task].source,
        "notes": notes(config, study, method),
        "primary_metric": task.primary_metric,
        "metrics": task.metrics,
        "splitter": config.tasks[settings.task].splitter,
        "labels": list(task.labels),
        "test_sets": config.tasks[settings.task].test_sets_of(task),
        "settings": depends,
        "config_sha256": json_digest(depends),
    }


def annotated(config: Config) -> list[str]:
    """Tasks that have annotation."""
    return [name for name, task in config.tasks.items() if task.annotation is not None]


def annotator(config: Config, task: str) -> dict[str, str]:
    """Who writes the rationales of a task."""
    return config.tasks[task].annotation.model_dump(include={"provider", "model"})


def annotation_keys(config: Config) -> list[str]:
    """Environment variables of the keys that annotation needs."""
    annotations = (config.tasks[task].annotation for task in annotated(config))
    return sorted({key for annotation in annotations if (key := annotation.key_name())})


def annotation_settings(config: Config, task: str) -> dict[str, Any]:
    """What an annotation job is told."""
    return config.tasks[task].annotation.model_dump(exclude={"training"})


def annotation_identity(config: Config, task: str) -> dict[str, Any]:
    """Settings that the rationales of a task depend on: not keys, addresses, limits, prices or pace."""
    annotation = config.tasks[task].annotation
    identity = annotation.model_dump(include=RATIONALES_DEPEND_ON)
    if annotation.provider != "local":
        return identity
    model = config.models[annotation.model].model_dump()
    return identity | {"local_model": model, "local_training": annotator_settings(config, task)}


def annotator_settings(config: Config, task: str) -> dict[str, Any]:
    """What the training job of a local annotator is told."""
    settings = resolve_annotator(config, task)
    unused = {"dpo", "divergence", "stepwise", "selection_rows", "keep_best"} | (
        {"lora"} if settings.adaptation == "full" else set()
    )
    return {
        "objective": "cross_entropy",
        "training": settings.model_dump(exclude=unused),
        "hardware": config.hardware.model_dump(),
    }
