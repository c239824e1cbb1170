"""Checks across sections of the configuration; every message names the key to change."""

from collections.abc import Collection, Hashable, Sequence

from pipestill.methods import METHODS, ROLES, SFT, TEACHER_NAME, method_of
from pipestill.objectives.base import RATIONALES, Objective
from pipestill.plan.annotation_checks import check_annotation
from pipestill.plan.config import Config, StudyConfig, TaskConfig
from pipestill.plan.resolve import Resolved, new_tokens, rationale_tokens, resolve_training
from pipestill.tasks import TASKS
from pipestill.tasks.base import RATIONALE


def check_config(config: Config) -> None:
    """Check what single sections cannot know.

    Raises:
        ValueError: begins with the path of the first wrong key.
    """
    for name in config.run:
        known(name, config.studies, "run", "studies")
    unique(config.seeds, "seeds")
    for name, task in config.tasks.items():
        _check_task(config, f"tasks.{name}", name, task)
    for name, study in config.studies.items():
        path = f"studies.{name}"
        _check_names(config, path, study)
        _check_answers(config, path, study)
        _check_models(config, path, study)
        _check_training(config, path, study)


def known(name: str, names: Collection[str], path: str, where: str) -> None:
    """Refuse a name that is not among ``names``."""
    if name not in names:
        raise ValueError(f"{path}: `{name}` is not defined in {where} ({', '.join(names)})")


def unique(values: Sequence[Hashable], path: str) -> None:
    """Refuse a value that comes twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{path}: `{value}` is listed twice")


def _check_task(config: Config, path: str, name: str, task: TaskConfig) -> None:
    kind = TASKS[name]
    try:
        kind.layout.check(task.data)
    except ValueError as error:
        raise ValueError(f"{path}.data.{error}") from None
    known(task.prompt, kind.wordings, f"{path}.prompt", f"the prompts of `{name}`")
    if task.data.tokenizer is not None:
        known(task.data.tokenizer, config.models, f"{path}.data.crop.tokenizer", "models")
    if task.annotation is not None:
        if task.annotation.provider == "local":
            known(task.annotation.model, config.models, f"{path}.annotation.model", "models")
        check_annotation(f"{path}.annotation", task.annotation, kind)


def _check_names(config: Config, path: str, study: StudyConfig) -> None:
    known(study.student, config.models, f"{path}.student", "models")
    if study.teacher is not None:
        known(study.teacher, config.models, f"{path}.teacher", "models")
    elif study.pretrained_teacher:
        raise ValueError(f"{path}.pretrained_teacher: there is no teacher; set `{path}.teacher`")
    unique(study.methods, f"{path}.methods")
    if study.seeds is not None:
        unique(study.seeds, f"{path}.seeds")
        if not study.seeds:
            raise ValueError(f"{path}.seeds: at least one seed is needed")
    for method in study.methods:
        known(method, METHODS, f"{path}.methods", "the methods of this version")
        if METHODS[method].teacher == "required" and study.teacher is None:
            raise ValueError(f"{path}: method `{method}` needs a teacher; set `{path}.teacher`")
    for name, checkpoint in study.checkpoints.items():
        if name in METHODS or name in ROLES:
            raise ValueError(f"{path}.checkpoints: `{name}` is the name of a method; choose another one")
        for key in ("base", "model"):
            if (model := getattr(checkpoint, key)) is not None:
                known(model, config.models, f"{path}.checkpoints.{name}.{key}", "models")


def _check_answers(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse methods and keys that the study's task has no use for."""
    task = TASKS[study.task]
    for key, model in task.answers.models(study.answers).items():
        known(model, config.models, f"{path}.answers.{key}", "models")
    if study.submission != type(study.submission)() and not task.challenge:
        raise ValueError(f"{path}.submission: `{study.task}` has no challenge; remove the key")
    for method in study.methods:
        entry = METHODS[method]
        if not entry.model and not task.answers.extractive:
            raise ValueError(
                f"{path}.methods: `{method}` takes sentences of documents, and the answers of `{study.task}` are not "
                "such; leave it out"
            )
        if entry.objective and not entry.objective.serves(task.answers):
            raise ValueError(
                f"{path}.methods: `{method}` needs wrong answers to reject, and `{study.task}` has none; leave it out"
            )


def _check_models(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse kinds of models that cannot do what the study asks of them."""
    kinds = {role: config.models[name].kind for role in ("student", "teacher") if (name := getattr(study, role))}
    able = TASKS[study.task].answers.model_kinds
    for role, kind in kinds.items():
        if kind not in able:
            raise ValueError(
                f"{path}.{role}: a `{kind}` model cannot answer `{study.task}`; name one of the kinds "
                f"{', '.join(sorted(able))}"
            )
    for method in study.methods:
        objective = METHODS[method].objective
        if objective and kinds["student"] not in objective.model_kinds:
            raise ValueError(
                f"{path}.methods: `{method}` trains models of the kinds {', '.join(sorted(objective.model_kinds))}, and"
                f" the student is `{kinds['student']}`; leave it out"
            )
        if METHODS[method].teacher == "required" and len(set(kinds.values())) > 1:
            raise ValueError(
                f"{path}.methods: `{method}` compares a {kinds['student']} student with a {kinds['teacher']} teacher "
                "token by token, which needs models of one kind; leave it out, or change one of them"
            )


def _check_training(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse training settings that contradict each other or the study."""
    readers: dict[str, Resolved] = {}
    for method in study.methods:
        objective, resolved = METHODS[method].objective, resolve_training(config.training, study, method)
        if objective is None:
            continue
        if resolved.training.init == "sft" and (method == SFT or SFT not in study.methods):
            raise ValueError(f"{path}: method `{method}` has `init: sft`; that needs another method `sft`")
        if resolved.training.select == "metric" and not TASKS[study.task].answers.can("score_one"):
            raise ValueError(
                f"{path}: method `{method}` has `select: metric`, which is for generated answers; use `loss`"
            )
        _check_options(path, study, method, objective, resolved)
        _check_rationales(config, path, study, method, objective, resolved)
        if objective.cached(resolved.options):
            try:
                objective.check_codec(study.distributions.codec)
            except ValueError as error:
                raise ValueError(f"{path}.distributions.codec: {error}") from None
            readers[method] = resolved
    _check_readers(path, readers)
    if study.pretrained_teacher and TEACHER_NAME in study.overrides:
        raise ValueError(f"{path}.overrides.teacher: a pretrained teacher is not trained; remove it")
    if study.teacher is not None and resolve_training(config.training, study, TEACHER_NAME).training.init == "sft":
        raise ValueError(f"{path}.overrides.teacher.init: a teacher starts from its base model; set `init: base`")


def _check_options(path: str, study: StudyConfig, method: str, objective: Objective, resolved: Resolved) -> None:
    """Refuse options of a method that do not count, and those that ask for a teacher that there is not."""
    if method in study.overrides:
        given = study.overrides[method].model_dump().get(objective.section) or {}
        for option in sorted(given.keys() - objective.used(resolved.options).keys()):
            raise ValueError(f"{path}.overrides.{method}.{objective.section}: `{option}` has no use here; remove it")
    if objective.asks_teacher(resolved.options) and method_of(method).teacher == "unused" and study.teacher is None:
        raise ValueError(f"{path}: the options of `{method}` ask for a teacher; set `{path}.teacher`, or change them")


def _check_rationales(
    config: Config, path: str, study: StudyConfig, method: str, objective: Objective, resolved: Resolved
) -> None:
    if RATIONALES not in objective.sources(resolved.options):
        return
    task = config.tasks[study.task]
    if RATIONALE not in TASKS[study.task].prompts:
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
    explained = rationale_tokens(task, resolved, method)
    written = explained + new_tokens(TASKS[study.task], study)
    if explained and written >= resolved.training.max_length:
        raise ValueError(
            f"{path}: rationale and answer of `{method}` may take {written} tokens, which leaves no room for a prompt "
            f"in `max_length` {resolved.training.max_length}; raise it, or lower `crop.rationale`"
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
