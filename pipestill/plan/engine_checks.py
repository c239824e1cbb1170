"""Checks of engines that serve models, and of what they are asked; every message names the key to change."""

from pipestill.job import programs
from pipestill.methods import METHODS
from pipestill.objectives.base import CONTEXT_OUTPUTS, OUTPUTS, OWN_OUTPUTS
from pipestill.plan.config import Config, StudyConfig
from pipestill.plan.resolve import merged, resolve_hardware, resolve_training
from pipestill.settings.models import SERVING

TRANSFORMERS = "leave the key out, or set `transformers`"


def check_engine(config: Config, path: str, study: StudyConfig) -> None:
    """Refuse an engine for what it cannot do.

    Raises:
        ValueError: begins with the path of a wrong key.
    """
    if study.engine not in SERVING:
        return
    where, answers = f"{path}.engine: `{study.engine}`", config.task(study.task).answers
    if reason := answers.unserved():
        raise ValueError(f"{where} does not fit the answers of `{study.task}`: {reason}; {TRANSFORMERS}")
    named = {role: model for role in ("student", "teacher") if (model := getattr(study, role))}
    named |= {f"checkpoints.{name}": each.model or each.base for name, each in study.checkpoints.items()}
    for role, model in named.items():
        kind = config.models[model].kind if model else SERVING[study.engine][0]
        if kind not in SERVING[study.engine]:
            raise ValueError(f"{where} serves no `{kind}` models, and `{path}.{role}` is one; {TRANSFORMERS}")
    if study.compress:
        raise ValueError(f"{where} does not read weights as `{path}.compress` stores them; {TRANSFORMERS}")
    if resolve_hardware(config.hardware, study).quantization == "nf4":
        raise ValueError(f"{where} reads weights that are not quantised; set `{path}.hardware.quantization: none`")
    _check_answers(config, path, where, study)


def _check_answers(config: Config, path: str, where: str, study: StudyConfig) -> None:
    """Refuse options of answers, those of variants included, and what students would learn from the default ones."""
    asked = {f"{path}.answers": {}}
    asked |= {f"{path}.variants.{name}.answers": variant.answers for name, variant in study.variants.items()}
    for key, given in asked.items():
        options = study.answers.model_validate(merged(study.answers.model_dump(), given))
        for name, reason in options.unserved().items():
            raise ValueError(f"{key}.{name}: {reason}, or leave `{path}.engine` out")
    if (held := type(study.answers)().unserved()) and (method := _learner(config, study)):
        raise ValueError(
            f"{where} cannot make what `{method}` learns from: outputs that are learnt have the default "
            f"`{'`, `'.join(held)}`; leave the method or the key out"
        )


def _learner(config: Config, study: StudyConfig) -> str | None:
    """A method that learns from what a model says to prompts, if the study has one."""
    said = {OWN_OUTPUTS, CONTEXT_OUTPUTS, *([OUTPUTS] if study.teacher else [])}
    for method in study.methods:
        objective = METHODS[method].objective
        if objective and said & objective.sources(resolve_training(config.training, study, method).options):
            return method
    return None


def engine_problems(config: Config, studies: list[str], tasks: list[str]) -> list[str]:
    """Sentences about programs that are not on this machine.

    Args:
        config: the configuration.
        studies: whose models are asked.
        tasks: whose rationales are asked for.
    """
    places = {f"studies.{name}.engine": config.studies[name].engine for name in studies}
    places |= {f"tasks.{name}.annotation.engine": config.tasks[name].annotation.engine for name in tasks}
    missing = {where: each for where, each in places.items() if each in SERVING and programs.find(each) is None}
    return [f"{where}: {programs.missing(each)}" for where, each in missing.items()]
