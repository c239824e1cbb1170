"""What a study's settings must fulfil together; every sentence names the key to change."""

from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.losses.kinds import KINDS, complete_options
from pipestill.methods import METHODS
from pipestill.plan.resolve import resolve_new_tokens, resolve_training
from pipestill.plan.study import StudyConfig
from pipestill.settings.training import MULTI_TASK_OPTIONS, TrainingConfig
from pipestill.tasks import TASKS

if TYPE_CHECKING:
    from pipestill.plan.config import Config

BY_CLASS = ("train_per_class", "teacher_per_class")
BY_ROW = ("train_rows", "teacher_rows")


def check_models(config: "Config", path: str, study: StudyConfig) -> None:
    """Refuse kinds of models that cannot do what the study asks of them."""
    kinds = {role: config.models[name].kind for role in ("student", "teacher") if (name := getattr(study, role))}
    for role, kind in kinds.items():
        if kind == "masked":
            raise ValueError(f"{path}.{role}: a `masked` model writes no answers; name a `causal` or `seq2seq` one")
        if kind == "seq2seq" and TASKS[study.task].ranks_labels:
            raise ValueError(
                f"{path}.{role}: the labels of `{study.task}` are ranked by `causal` models only; name such a one"
            )
    by_divergence = [method for method in study.methods if METHODS[method].objective == "divergence"]
    if by_divergence and len(set(kinds.values())) > 1:
        raise ValueError(
            f"{path}.methods: `{by_divergence[0]}` compares a {kinds['student']} student with a {kinds['teacher']} "
            "teacher token by token, which needs models of one kind; leave it out, or change one of them"
        )


def check_task(config: "Config", path: str, study: StudyConfig) -> None:
    """Refuse keys and methods that the study's kind of task has no use for."""
    task = TASKS[study.task]
    for key in BY_ROW if task.ranks_labels else BY_CLASS:
        if getattr(study, key) is not None:
            other = key.replace("rows", "per_class") if task.ranks_labels else key.replace("per_class", "rows")
            has = "has classes" if task.ranks_labels else "has no classes"
            raise ValueError(f"{path}.{key}: the task `{study.task}` {has}; use `{other}`")
    for key in ("bertscore", "submission"):
        if task.collection is None and getattr(study, key) != type(study).model_fields[key].default:
            raise ValueError(f"{path}.{key}: `{study.task}` is no task of documents; remove the key")
    extractive = [method for method in study.methods if not METHODS[method].model]
    if extractive and task.collection is None:
        raise ValueError(
            f"{path}.methods: `{extractive[0]}` takes sentences of documents, and `{study.task}` is no task of "
            "documents; leave it out"
        )
    if "dpo" in study.methods and not task.ranks_labels:
        raise ValueError(f"{path}.methods: `dpo` needs wrong labels to reject, and `{study.task}` has no classes")
    if "stepwise" in study.methods:
        _check_rationales(config, path, study)


def _check_rationales(config: "Config", path: str, study: StudyConfig) -> None:
    if TASKS[study.task].rationale_prompt is None:
        raise ValueError(f"{path}.methods: `stepwise` learns from rationales, and `{study.task}` has none")
    annotation = config.tasks[study.task].annotation
    if annotation is None:
        raise ValueError(
            f"{path}.methods: `stepwise` learns from rationales; say in `tasks.{study.task}.annotation` who writes them"
        )
    if set(annotation.splits) != {"train", "validation"}:
        raise ValueError(
            f"tasks.{study.task}.annotation.splits: `stepwise` needs rationales of both `train` and `validation`"
        )
    if annotation.provider == "local" and not config.tasks[study.task].splits.teacher_share:
        raise ValueError(
            f"tasks.{study.task}.splits.teacher_share: the local annotator of `stepwise` learns from teacher rows; "
            "raise it, use another `annotation.provider`, or leave `stepwise` out"
        )


def check_training(config: "Config", path: str, study: StudyConfig) -> None:
    """Refuse training settings that contradict each other or the study."""
    cached: dict[str, TrainingConfig] = {}
    for method in study.methods:
        training = resolve_training(config, study, method)
        if training.init == "sft" and (method == "sft" or "sft" not in study.methods):
            raise ValueError(f"{path}: method `{method}` has `init: sft`; that needs another method `sft`")
        if method == "dpo" and training.dpo.rejected == "confusable" and study.teacher is None:
            raise ValueError(f"{path}: `dpo.rejected: confusable` needs a teacher; set one, or use `random`")
        if METHODS[method].trains and training.select == "metric" and TASKS[study.task].ranks_labels:
            raise ValueError(
                f"{path}: method `{method}` has `select: metric`, which is for generated answers; use `loss`"
            )
        if METHODS[method].objective == "stepwise" and training.stepwise.mode == "single_task":
            _check_single_task(config, path, study, method, training)
        if METHODS[method].objective == "divergence":
            _check_divergence(path, study, method, training)
            if training.divergence.teacher == "cached":
                cached[method] = training
    _check_readers(path, cached)
    if study.pretrained_teacher and "teacher" in study.overrides:
        raise ValueError(f"{path}.overrides.teacher: a pretrained teacher is not trained; remove it")
    if study.teacher is not None and resolve_training(config, study, "teacher").init == "sft":
        raise ValueError(f"{path}.overrides.teacher.init: a teacher starts from its base model; set `init: base`")


def _check_single_task(config: "Config", path: str, study: StudyConfig, method: str, training: TrainingConfig) -> None:
    own = study.overrides[method].model_dump().get("stepwise") if method in study.overrides else None
    for option in sorted((own or {}).keys() & MULTI_TASK_OPTIONS):
        raise ValueError(f"{path}.overrides.{method}.stepwise: `single_task` has no use for `{option}`; remove it")
    new_tokens = resolve_new_tokens(config, study, method)
    if new_tokens >= training.max_length:
        raise ValueError(
            f"{path}: rationale and answer of `{method}` may take {new_tokens} tokens, which leaves no room for a "
            f"prompt in `max_length` {training.max_length}; raise it, or lower `crop.rationale`"
        )


def _check_divergence(path: str, study: StudyConfig, method: str, training: TrainingConfig) -> None:
    kind, settings = METHODS[method].divergence, training.divergence
    own = study.overrides[method].model_dump().get("divergence") if method in study.overrides else None
    known = set(KINDS[kind].options.model_fields) if kind in KINDS else set()
    every = {name for entry in KINDS.values() for name in entry.options.model_fields}
    for option in sorted((own or {}).keys() & every - known):
        raise ValueError(f"{path}.overrides.{method}.divergence: `{kind}` has no option `{option}`")
    given = {name: value for name in sorted(known) if (value := getattr(settings, name)) is not None}
    try:
        complete_options(kind, given) if given else None
    except UserError as error:
        raise ValueError(f"{path}: {error}") from None
    if settings.teacher != "cached":
        return
    if kind == "uld":
        raise ValueError(
            f"{path}: `uld` is for a teacher with other tokens, and no cache has them; use `teacher: online`"
        )
    if study.distributions.codec == "sample" and kind != "fkl":
        raise ValueError(
            f"{path}.distributions.codec: `sample` serves `fkl` alone; use `topk` or `full` for `{method}`, or "
            "`teacher: online`"
        )


def _check_readers(path: str, cached: dict[str, TrainingConfig]) -> None:
    """All readers of a cache must see the same tokens at the same temperature."""
    for name, value in (
        ("divergence.temperature", lambda training: training.divergence.temperature),
        ("max_length", lambda training: training.max_length),
    ):
        found = {method: value(training) for method, training in cached.items()}
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{method}: {number:g}" for method, number in found.items())
            raise ValueError(
                f"{path}: methods that read one cache need the same `{name}` ({listed}); make them equal, or use "
                "`divergence.teacher: online`"
            )
