"""Checks of the training of a study's models; every message names the key to change."""

import math

from pipestill.methods import ANNOTATOR_NAME, METHODS, SFT, TEACHER_NAME, method_of
from pipestill.objectives.base import OUTPUTS, OWN_OUTPUTS, RATIONALES, Objective
from pipestill.plan.config import Config, StudyConfig, TaskConfig
from pipestill.plan.context_checks import check_teacher_context
from pipestill.plan.resolve import (
    Resolved,
    most_rows,
    new_tokens,
    rationale_tokens,
    resolve_annotator,
    resolve_hardware,
    resolve_training,
)
from pipestill.settings.annotation import ANSWER
from pipestill.settings.models import WRITERS, HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import Task
from pipestill.tasks.base import RATIONALE
from pipestill.text.gaps import gaps


def check_training(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse training settings that contradict each other or the study.

    Raises:
        ValueError: begins with the path of a wrong key.
    """
    task = config.task(study.task)
    hardware = resolve_hardware(config.hardware, study)
    _check_rows(path, study, len(task.answers.strata))
    _check_unlabelled(config, path, study)
    _check_samples(path, study)
    readers: dict[str, dict[str, Resolved]] = {}  # by what they read
    for method in study.methods:
        objective, resolved = METHODS[method].objective, resolve_training(config.training, study, method)
        if objective is None:
            continue
        if resolved.training.init == "sft" and (method == SFT or SFT not in study.methods):
            raise ValueError(f"{path}: method `{method}` has `init: sft`; that needs another method `sft`")
        if OWN_OUTPUTS in objective.sources(resolved.options) and SFT not in study.methods:
            raise ValueError(f"{path}: method `{method}` learns from what the student of `sft` says; add that method")
        if resolved.training.select == "metric" and not task.answers.can("score_one"):
            raise ValueError(
                f"{path}: method `{method}` has `select: metric`, which is for generated answers; use `loss`"
            )
        _check_devices(path, method, resolved.training, hardware)
        _check_options(path, study, method, objective, resolved)
        _check_on_policy(config, path, study, method, objective, resolved, hardware.divides)
        _check_rationales(config, path, study, method, objective, resolved)
        check_teacher_context(config, path, study, method, objective, resolved)
        _check_warmup(path, method, resolved.training, _rows_of(config, study, objective, resolved))
        if objective.cached(resolved.options):
            _check_codec(path, study, task, objective)
            readers.setdefault(objective.store, {})[method] = resolved
    for name, compressed in study.compress.items():
        objective, resolved = compressed.entry(name).objective, resolve_training(config.training, study, name)
        _check_devices(f"{path}.compress", name, resolved.training, hardware)
        _check_warmup(f"{path}.compress", name, resolved.training, _rows_of(config, study, objective, resolved))
        if objective.cached(resolved.options):
            _check_codec(path, study, task, objective)
            readers.setdefault(objective.store, {})[name] = resolved
    for own in readers.values():
        _check_readers(path, own)
    _check_teacher(config, path, study)
    for method in (*study.methods, *study.checkpoints, *([TEACHER_NAME] if study.teacher else [])):
        if method_of(method).model:
            _check_room(config, path, study, method)


def _check_codec(path: str, study: StudyConfig, task: Task, objective: Objective) -> None:
    """Refuse stored distributions that an objective which reads them cannot use."""
    try:
        objective.check_codec(study.distributions.codec)
    except ValueError as error:
        raise ValueError(f"{path}.distributions.codec: {error}") from None
    if study.distributions.over_classes and not task.answers.classes:
        raise ValueError(
            f"{path}.distributions.codec: `labels` is for answers that are labels, and those of `{study.task}` "
            "are not; use `topk`"
        )


def check_annotator(config: Config, path: str, task: TaskConfig) -> None:
    """Refuse a local model that cannot write, and a training that it could not have.

    Raises:
        ValueError: begins with the path of a wrong key.
    """
    kind = config.models[task.annotation.model].kind
    if kind not in WRITERS:
        raise ValueError(f"{path}.model: a `{kind}` model cannot write; name one of the kinds {', '.join(WRITERS)}")
    training = resolve_annotator(config.training, task).training
    _check_devices(path, ANNOTATOR_NAME, training, config.hardware)
    _check_warmup(path, ANNOTATOR_NAME, training, None)


def _check_rows(path: str, study: StudyConfig, classes: int) -> None:
    """Refuse rows that are fewer than the classes, of which each has as many."""
    for key in ("train_rows", "teacher_rows"):
        rows = getattr(study, key)
        if rows is not None and rows < classes:
            raise ValueError(f"{path}.{key}: {rows} rows are none for each of {classes} classes; raise it")


def _check_unlabelled(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse prompts without gold outputs that nobody answers, or whose gold outputs the teacher learns."""
    if not study.unlabelled.given:
        if study.unlabelled.curve or study.unlabelled.sft_curve:
            raise ValueError(f"{path}.unlabelled: its curves are through prompts; give it `rows` or a `file`")
        return
    sources = _unlabelled_sources(config, study)
    if study.teacher is None and OUTPUTS in sources.values():
        raise ValueError(f"{path}.unlabelled: a teacher answers such prompts; set `{path}.teacher`, or remove the key")
    if RATIONALES in sources.values():
        _check_annotated(config, path, study)
    own = study.unlabelled
    if own.rows is not None and max(own.curve, default=0) > own.rows:
        raise ValueError(f"{path}.unlabelled.curve: {max(own.curve)} prompts are more than its `rows` {own.rows}")
    if own.sft_curve and SFT not in study.methods:
        raise ValueError(f"{path}.unlabelled.sft_curve: it is drawn for the method `sft`; add that, or remove the key")
    if own.sft_curve and min(own.sft_curve) < len(config.task(study.task).answers.strata):
        raise ValueError(f"{path}.unlabelled.sft_curve: {min(own.sft_curve)} rows are none for each class; raise it")
    learns = study.unlabelled.file is None and not study.pretrained_teacher and study.teacher is not None
    if learns and not config.tasks[study.task].data.splits.teacher_share:
        raise ValueError(
            f"{path}.unlabelled: with a `teacher_share` of 0 the teacher learns the gold outputs of these rows; raise "
            f"`tasks.{study.task}.data.splits.teacher_share`, or name a `file`"
        )


def _unlabelled_sources(config: Config, study: StudyConfig) -> dict[str, str | None]:
    """What the students of a study learn at prompts without gold outputs, by method; none: nothing."""
    objectives = {name: METHODS[name].objective for name in study.methods}
    objectives |= {name: compressed.entry(name).objective for name, compressed in study.compress.items()}
    return {
        name: objective and objective.unlabelled_source(resolve_training(config.training, study, name).options)
        for name, objective in objectives.items()
    }


def _check_annotated(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse prompts that the annotation does not answer, or answers with a look at gold outputs."""
    annotation = config.tasks[study.task].annotation
    steps = annotation.steps if annotation else []
    if annotation and ANSWER not in {step.out for step in steps}:
        raise ValueError(
            f"{path}.unlabelled: `stepwise` learns rationale and answer of the annotation; give "
            f"`tasks.{study.task}.annotation.steps` one with `out: {ANSWER}`"
        )
    for number, step in enumerate(steps):
        for name in gaps(f"{step.prompt}{step.system or ''}"):
            if name in ("target", "prompt"):  # the gold output, and what a record with one is asked
                where = f"tasks.{study.task}.annotation.steps.{number}"
                raise ValueError(f"{where}: what `{path}.unlabelled` gives has no `{{{name}}}`; leave it out")


def _check_samples(path: str, study: StudyConfig) -> None:
    """Refuse several answers to a prompt where a method learns them and no teacher gives them."""
    objectives = [METHODS[name].objective for name in study.methods]
    if study.kd.filtered and study.teacher is None and any(each and each.file.sampled for each in objectives):
        raise ValueError(
            f"{path}.kd: a teacher gives such answers; set `{path}.teacher`, or `samples: 1` and `keep: all`"
        )


def _rows_of(config: Config, study: StudyConfig, objective: Objective, resolved: Resolved) -> float:
    """Rows that a student learns from at most, as far as the configuration says."""
    own, unlabelled = most_rows(config, study, study.train_rows, study.train_share), study.unlabelled
    if not unlabelled.given or objective is None or objective.unlabelled_source(resolved.options) is None:
        return own
    return own + (unlabelled.rows or math.inf)


def _check_options(path: str, study: StudyConfig, method: str, objective: Objective, resolved: Resolved) -> None:
    """Refuse options of a method that do not count, and those that ask for a teacher that there is not."""
    if method in study.overrides:
        given = study.overrides[method].model_dump().get(objective.section) or {}
        for option in sorted(given.keys() - objective.used(resolved.options).keys()):
            raise ValueError(f"{path}.overrides.{method}.{objective.section}: `{option}` has no use here; remove it")
    if objective.asks_teacher(resolved.options) and method_of(method).teacher == "unused" and study.teacher is None:
        raise ValueError(f"{path}: the options of `{method}` ask for a teacher; set `{path}.teacher`, or change them")


def _check_on_policy(
    config: Config,
    path: str,
    study: StudyConfig,
    method: str,
    objective: Objective,
    resolved: Resolved,
    divided: bool,
) -> None:
    """Refuse answers of a student's own that nothing can be learnt from, and a buffer that no step can draw from."""
    own, training = objective.on_policy(resolved.options), resolved.training
    if own is None:
        return
    where = f"{path}: `{method}` learns from answers of its own (`divergence.on_policy`)"
    try:
        objective.check_on_policy(resolved.options, config.models[study.student].kind, divided)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if own.rounds and study.distributions.over_classes:
        raise ValueError(
            f"{where}: `distributions.codec: labels` has the first token of an answer alone, for which it does not "
            "matter what the student writes; use `topk`, or set `share: 0`"
        )
    if own.rounds > (training.max_steps or math.inf):
        raise ValueError(f"{where}: {training.max_steps} steps are fewer than its {own.rounds} `rounds`; lower these")
    step = training.batch_size * training.accumulation_steps
    if 0 < own.buffer < step:
        raise ValueError(f"{where}: a `buffer` of {own.buffer} has not a step's {step} rows; raise it, or set it to 0")


def _check_rationales(
    config: Config, path: str, study: StudyConfig, method: str, objective: Objective, resolved: Resolved
) -> None:
    if RATIONALES not in objective.sources(resolved.options):
        return
    task = config.tasks[study.task]
    if RATIONALE not in config.task(study.task).prompts:
        raise ValueError(f"{path}.methods: `{method}` learns from rationales, and `{study.task}` has none")
    if task.annotation is None:
        raise ValueError(
            f"{path}.methods: `{method}` learns from rationales; say in `tasks.{study.task}.annotation` who writes them"
        )
    if set(task.annotation.splits) != {"train", "validation"}:
        raise ValueError(
            f"tasks.{study.task}.annotation.splits: `{method}` needs rationales of both `train` and `validation`"
        )
    if task.annotation.provider == "local" and not task.data.splits.teacher_share:
        raise ValueError(
            f"tasks.{study.task}.data.splits.teacher_share: the local annotator of `{method}` learns from teacher rows;"
            " raise it, use another `annotation.provider`, or leave the method out"
        )


def _check_room(config: Config, path: str, study: StudyConfig, method: str) -> None:
    """Refuse answers that leave no room for a prompt."""
    task, resolved = config.tasks[study.task], resolve_training(config.training, study, method)
    explained, length = rationale_tokens(task, resolved, method), resolved.training.max_length
    answered = new_tokens(config.task(study.task), study.answers)
    if explained + answered < length:
        return
    if explained:
        raise ValueError(
            f"{path}: rationale and answer of `{method}` may take {explained + answered} tokens, which leaves no room "
            f"for a prompt in `max_length` {length}; raise it, or lower `crop.rationale`"
        )
    raise ValueError(
        f"{path}.answers.max_new_tokens: an answer of {answered} tokens leaves no room for a prompt in `max_length` "
        f"{length} of `{method}` (`training.max_length`); lower the one, or raise the other"
    )


def _check_teacher(config: Config, path: str, study: StudyConfig) -> None:
    if study.pretrained_teacher and TEACHER_NAME in study.overrides:
        raise ValueError(f"{path}.overrides.teacher: a pretrained teacher is not trained; remove it")
    if study.teacher is None or study.pretrained_teacher:
        return
    training = resolve_training(config.training, study, TEACHER_NAME).training
    if training.init == "sft":
        raise ValueError(f"{path}.overrides.teacher.init: a teacher starts from its base model; set `init: base`")
    _check_devices(path, TEACHER_NAME, training, resolve_hardware(config.hardware, study))
    _check_warmup(path, TEACHER_NAME, training, most_rows(config, study, study.teacher_rows))


def _check_devices(path: str, method: str, training: TrainingConfig, hardware: HardwareConfig) -> None:
    """Refuse devices that would have nothing to do, and weights in 4 bits that would be divided."""
    if training.batch_size < hardware.processes:
        raise ValueError(
            f"{path}: the `batch_size` of `{method}` is {training.batch_size}, which {hardware.processes} devices "
            "share (`hardware.devices`, `hardware.nodes`); raise the one, or lower the others"
        )
    if hardware.divides and training.adaptation == "lora" and not hardware.whole:
        raise ValueError(
            f"{path}: `hardware.strategy: fsdp` divides weights among devices, which those in 4 bits cannot be; set "
            "`hardware.quantization: none`, or `strategy: ddp`"
        )


def _check_warmup(path: str, method: str, training: TrainingConfig, rows: float | None) -> None:
    """Refuse a warm-up that is not over before the training."""
    steps = training.max_steps
    if steps is None and rows is not None and rows < math.inf:
        batches = math.ceil(rows / training.batch_size)
        steps = math.ceil(math.ceil(batches / training.accumulation_steps) * training.epochs)
    if steps is not None and training.warmup >= max(steps, 1):
        raise ValueError(
            f"{path}: the `warmup` of `{method}` is {training.warmup:g} steps, and its training {steps} at most; lower "
            "it, or give a share below 1"
        )


def _check_readers(path: str, readers: dict[str, Resolved]) -> None:
    """All readers of a cache must see the same tokens at the same temperature."""
    for name, values in (
        ("divergence.temperature", {method: each.options.temperature for method, each in readers.items()}),
        ("max_length", {method: each.training.max_length for method, each in readers.items()}),
    ):
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{method}: {number:g}" for method, number in values.items())
            raise ValueError(
                f"{path}: methods that read one cache need the same `{name}` ({listed}); make them equal, or use "
                "`divergence.teacher: online`"
            )
