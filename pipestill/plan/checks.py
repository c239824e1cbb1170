"""Checks across sections of the configuration; every message names the key to change."""

from collections.abc import Collection

from pydantic import ValidationError

from pipestill.errors import shortened
from pipestill.methods import METHODS, ROLES, TEACHER_NAME, method_of
from pipestill.plan.annotation_checks import check_annotation
from pipestill.plan.compress_checks import check_compress
from pipestill.plan.config import Config, StudyConfig, TaskConfig
from pipestill.plan.context_checks import check_in_context
from pipestill.plan.engine_checks import check_engine
from pipestill.plan.resolve import merged, prompts_of, resolve_training
from pipestill.plan.training_checks import check_annotator, check_training
from pipestill.plan.variants import variants_of
from pipestill.settings.models import ModelKind
from pipestill.settings.prompts import LABEL, Prompt
from pipestill.tasks import Task
from pipestill.tasks.base import APART, no_generator

LISTED = 160  # characters of a list of names


def check_config(config: Config) -> None:
    """Check what single sections cannot know.

    Raises:
        ValueError: begins with the path of the first wrong key.
    """
    for name in config.run:
        known(name, config.studies, "run", "studies")
    for name, task in config.tasks.items():
        _check_task(config, f"tasks.{name}", name, task)
    for name, study in config.studies.items():
        path = f"studies.{name}"
        _check_names(config, path, study)
        _check_answers(config, path, study)
        _check_variants(config, path, study)
        _check_models(config, path, study)
        check_in_context(path, study, askable(config.task(study.task), config.tasks[study.task]))
        check_training(config, path, study)
        check_compress(config, path, study)
        check_engine(config, path, study)


def known(name: str, names: Collection[str], path: str, where: str) -> None:
    """Refuse a name that is not among ``names``."""
    if name not in names:
        there = shortened(", ".join(names), LISTED)
        raise ValueError(f"{path}: `{shortened(name)}` is not defined in {where} ({there})")


def _check_task(config: Config, path: str, name: str, task: TaskConfig) -> None:
    kind = config.task(name)
    try:
        kind.layout.check(task.data)
    except ValueError as error:
        raise ValueError(f"{path}.data.{error}") from None
    if task.data.source == "synthetic" and kind.synthetic is no_generator:
        raise ValueError(f"{path}.data.source: `{name}` has no generator; say where its data are")
    for prompt, settings in task.prompts.items():
        _check_prompt(f"{path}.prompts.{prompt}", settings, kind)
    known(task.prompt, askable(kind, task), f"{path}.prompt", f"the prompts of `{name}`")
    if task.data.tokenizer is not None:
        known(task.data.tokenizer, config.models, f"{path}.data.crop.tokenizer", "models")
    if task.annotation is not None:
        check_annotation(f"{path}.annotation", task.annotation, kind)
        if task.annotation.provider == "local":
            known(task.annotation.model, config.models, f"{path}.annotation.model", "models")
            check_annotator(config, f"{path}.annotation", task)


def askable(kind: Task, task: TaskConfig) -> list[str]:
    """Names of the prompts that models are asked with; what shows the gold answer is for teachers alone."""
    return [name for name, prompt in prompts_of(kind, task).items() if name not in APART and not prompt.privileged]


def _check_prompt(path: str, prompt: Prompt, kind: Task) -> None:
    """Refuse gaps and labels that the task has not."""
    for gap in prompt.template.gaps:
        known(gap, [*kind.inputs, LABEL], f"{path}.text", f"the inputs of `{kind.name}`")
    try:
        kind.answers.check_words(prompt.verbalizers)
    except ValueError as error:
        raise ValueError(f"{path}.verbalizers: {error}") from None


def _check_names(config: Config, path: str, study: StudyConfig) -> None:
    if study.prompt is not None:
        kind, task = config.task(study.task), config.tasks[study.task]
        known(study.prompt, askable(kind, task), f"{path}.prompt", f"the prompts of `{study.task}`")
    known(study.student, config.models, f"{path}.student", "models")
    if study.teacher is not None:
        known(study.teacher, config.models, f"{path}.teacher", "models")
    elif study.pretrained_teacher:
        raise ValueError(f"{path}.pretrained_teacher: there is no teacher; set `{path}.teacher`")
    for method in study.methods:
        known(method, METHODS, f"{path}.methods", "the methods of this version")
        if METHODS[method].teacher == "required" and study.teacher is None:
            raise ValueError(f"{path}: method `{method}` needs a teacher; set `{path}.teacher`")
    for method in study.overrides:
        if not method_of(method).trains:
            raise ValueError(f"{path}.overrides.{method}: `{method}` is not trained; remove it")
    for name in study.compress:
        if name in METHODS or name in ROLES or name in study.checkpoints:
            taken = "a checkpoint" if name in study.checkpoints else "a method"
            raise ValueError(f"{path}.compress: `{name}` is the name of {taken}; choose another one")
    for name, checkpoint in study.checkpoints.items():
        if name in METHODS or name in ROLES:
            raise ValueError(f"{path}.checkpoints: `{name}` is the name of a method; choose another one")
        for key in ("base", "model"):
            if (model := getattr(checkpoint, key)) is not None:
                known(model, config.models, f"{path}.checkpoints.{name}.{key}", "models")


def _check_answers(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse methods and keys that the study's task has no use for."""
    task = config.task(study.task)
    for key, model in task.answers.models(study.answers).items():
        known(model, config.models, f"{path}.answers.{key}", "models")
        _check_kind(f"{path}.answers.{key}", config.models[model].kind, task.answers.measuring_kinds, "measure answers")
    if study.submission != type(study.submission)() and not task.challenge:
        raise ValueError(f"{path}.submission: `{study.task}` has no challenge; remove the key")
    for method in study.methods:
        entry = METHODS[method]
        if not entry.model and not task.answers.extractive:
            raise ValueError(
                f"{path}.methods: `{method}` takes sentences of documents, and the answers of `{study.task}` are not "
                "such; leave it out"
            )
        if entry.objective and (lacking := entry.objective.lacks(task.answers)):
            raise ValueError(f"{path}.methods: `{method}` needs {lacking}, and `{study.task}` has none; leave it out")


def _check_variants(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse variants of what a study has not, or that are called as another row is."""
    kind, task = config.task(study.task), config.tasks[study.task]
    for row in variants_of(study):
        if row in study.checkpoints or row in study.compress:
            other = "a checkpoint" if row in study.checkpoints else "a compressed student"
            raise ValueError(f"{path}.variants: a variant would be called `{row}`, as {other} is; rename one")
    for name, variant in study.variants.items():
        where = f"{path}.variants.{name}"
        for method in variant.methods or []:
            rows = [*study.methods, *study.compress, *study.checkpoints, TEACHER_NAME]
            known(method, rows, f"{where}.methods", "the study's rows")
            if not method_of(method).model:
                raise ValueError(f"{where}.methods: `{method}` asks no model; leave it out")
        if variant.prompt is not None:
            known(variant.prompt, askable(kind, task), f"{where}.prompt", f"the prompts of `{study.task}`")
        given = study.answers.model_dump()
        for key in variant.answers:
            known(key, given, f"{where}.answers", "the settings of such answers")
            if key in study.answers.measuring:
                raise ValueError(f"{where}.answers: `{key}` changes no answer; set it in `{path}.answers`")
        if variant.prompt is None and all(given[key] == value for key, value in variant.answers.items()):
            raise ValueError(f"{where}: it asks as its study does; give a `prompt` or `answers` that differ")
        try:
            study.answers.model_validate(merged(given, variant.answers))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{where}.answers.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _check_models(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse kinds of models that cannot do what the study asks of them."""
    kinds = {role: config.models[name].kind for role in ("student", "teacher") if (name := getattr(study, role))}
    named = {name: each.model or each.base for name, each in study.checkpoints.items()}
    others = {f"checkpoints.{name}": config.models[model].kind for name, model in named.items() if model}
    for role, kind in {**kinds, **others}.items():
        _check_kind(f"{path}.{role}", kind, config.task(study.task).answers.model_kinds, f"answer `{study.task}`")
    for method in study.methods:
        objective = METHODS[method].objective
        if objective and kinds["student"] not in objective.model_kinds:
            raise ValueError(
                f"{path}.methods: `{method}` trains models of the kinds {', '.join(sorted(objective.model_kinds))}, and"
                f" the student is `{kinds['student']}`; leave it out"
            )
    for method in (*study.methods, *study.compress):
        if len(set(kinds.values())) > 1 and _needs_one_kind(config, study, method):
            where = f"{path}.{'compress' if method in study.compress else 'methods'}"
            raise ValueError(
                f"{where}: `{method}` compares a {kinds['student']} student with a {kinds['teacher']} teacher "
                "token by token, which needs models of one kind; leave it out, or change one of them"
            )


def _needs_one_kind(config: Config, study: StudyConfig, method: str) -> bool:
    """True if a method compares student and teacher token by token."""
    entry = study.compress[method].entry(method) if method in study.compress else METHODS[method]
    if entry.teacher != "required":
        return False
    options = resolve_training(config.training, study, method).options
    return not (study.distributions.over_classes and entry.objective.cached(options))


def _check_kind(path: str, kind: ModelKind, able: Collection[ModelKind], work: str) -> None:
    if kind not in able:
        raise ValueError(f"{path}: a `{kind}` model cannot {work}; name one of the kinds {', '.join(sorted(able))}")
