"""Checks of contexts: demonstrations, hints and instructions; every message names the key to change."""

from collections.abc import Collection

from pipestill.methods import METHODS
from pipestill.objectives.base import CONTEXT_OUTPUTS, Objective
from pipestill.plan.config import Config, StudyConfig
from pipestill.plan.resolve import Resolved, prompt_name, prompts_of


def check_in_context(path: str, study: StudyConfig, askable: Collection[str]) -> None:
    """Refuse in-context learning that has nothing to read, or asks with prompts that are not there.

    Args:
        path: of the study.
        study: whose settings they are.
        askable: names of the prompts that models are asked with.

    Raises:
        ValueError: begins with the path of a wrong key.
    """
    readers = [method for method in study.methods if METHODS[method].in_context]
    if readers and study.icl.shots == 0 and not study.icl.instruction:
        raise ValueError(f"{path}.icl.shots: 0 demonstrations and no instruction are no context; that is `base`")
    most = max([study.icl.shots, *study.icl.curve])
    if readers and study.train_rows is not None and most > study.train_rows:
        raise ValueError(f"{path}.icl: {most} demonstrations are more than `train_rows` {study.train_rows}; lower them")
    for prompt in study.icl.prompts:
        if prompt not in askable:
            known = ", ".join(askable)
            raise ValueError(
                f"{path}.icl.prompts: `{prompt}` is no prompt of `{study.task}` that can be asked ({known})"
            )


def check_teacher_context(
    config: Config, path: str, study: StudyConfig, method: str, objective: Objective, resolved: Resolved
) -> None:
    """Refuse a context that the teacher of a method cannot be given.

    Args:
        config: of the study.
        path: of the study.
        study: whose method it is.
        method: that learns from a teacher with a context, or another one.
        objective: of the method.
        resolved: settings of its training.

    Raises:
        ValueError: begins with the path of a wrong key.
    """
    context = objective.context(resolved.options)
    if context is None:
        return
    where, task = f"{path}: method `{method}`", config.task(study.task)
    if not context.shots and not context.instruction and not objective.hint(resolved.options):
        raise ValueError(f"{where} has `teacher_context: instruction` and none; give it its `instruction`")
    if context.shots and study.train_rows is not None and context.shots >= study.train_rows:
        raise ValueError(f"{where} shows {context.shots} of {study.train_rows} training rows to each; lower `shots`")
    if CONTEXT_OUTPUTS in objective.sources(resolved.options) and task.answers.classes:
        raise ValueError(
            f"{where} learns answers that its teacher generates, and those of `{study.task}` are labels; set "
            "`context.answers: gold`, which does not learn the labels as long as `kd_rate` is 1"
        )
    hint = objective.hint(resolved.options)
    if hint is None:
        return
    prompts, asked = prompts_of(task, config.tasks[study.task]), prompt_name(config, study)
    if hint not in prompts or not prompts[hint].privileged:
        raise ValueError(
            f"{where} shows the gold answer by the prompt `{hint}`, which `{study.task}` has not, or which is not "
            f"`privileged`; define it in `tasks.{study.task}.prompts`, or set `context.hint`"
        )
    answers = task.answers.classes or ("",)
    words = [[prompts[name].answer(answer) for answer in answers] for name in (hint, asked)]
    if words[0] != words[1] and not study.distributions.over_classes:
        raise ValueError(
            f"{where}: the prompts `{hint}` and `{asked}` have other answers, so that their tokens cannot be compared; "
            "give both the same `verbalizers`, `render` and `prefix`, or set `distributions.codec: labels`"
        )
