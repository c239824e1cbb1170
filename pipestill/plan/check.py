"""Checking a merged configuration, in one sentence about the first wrong key."""

import re
from typing import Any, TypeVar

from pydantic import ValidationError

from pipestill.answers.kinds import KINDS
from pipestill.errors import UserError, quoted, shortened
from pipestill.methods import METHODS, ROLES, TEACHER_NAME, check_objectives
from pipestill.plan.checks import check_config, known
from pipestill.plan.config import Config, TaskConfig
from pipestill.plan.plain import plain
from pipestill.plan.resolve import override_section
from pipestill.plan.secrets import refuse_secrets
from pipestill.settings.section import BESIDE, LONGEST_NAME, Section
from pipestill.settings.tasks import OF_PREDICT
from pipestill.tasks import TASKS

LONGEST, LONGEST_PATH = 300, 120  # characters of a sentence, and of a path in it
# How pydantic calls members of a union, as parts of places.
MEMBER = re.compile(r"\[key\]|int|float|str|bool|(literal|list|function-\w+)\[.*|constrained-\w+")
S = TypeVar("S", bound=Section)


def check(config: dict[str, Any]) -> Config:
    """Check a merged configuration.

    Raises:
        UserError: one sentence with the path of the first wrong key.
    """
    try:
        check_objectives([*METHODS.values(), *ROLES.values()])
        data = plain(config)
        refuse_secrets(data)
        checked = _section(Config, data)
        for name, task in checked.tasks.items():
            _check_declaration(name, task)
            task.data = _section(checked.task(name).layout.Options, task.data, f"tasks.{name}.data")
        for name, study in checked.studies.items():
            known(study.task, checked.tasks, f"studies.{name}.task", "tasks")
            study.answers = _section(checked.task(study.task).answers.Options, study.answers, f"studies.{name}.answers")
            for method, override in study.overrides.items():
                path = f"studies.{name}.overrides"
                known(method, [*METHODS, TEACHER_NAME], path, "the methods of this version")
                study.overrides[method] = _section(override_section(method), override, f"{path}.{method}")
        check_config(checked)
    except ValueError as error:
        raise UserError(shortened(f"config: {error}", LONGEST)) from None
    return checked


def _check_declaration(name: str, task: TaskConfig) -> None:
    """Refuse a task that nobody defines, or that the project and the configuration both define."""
    path = f"tasks.{name}"
    if name in TASKS:
        for key, given in (("answers", task.answers), ("inputs", task.inputs)):
            if given is not None:
                raise ValueError(f"{path}.{key}: `{name}` is a task of the project, which says this; remove the key")
    elif task.answers is None:
        known(name, TASKS, path, "the tasks of this version, and `answers` does not declare it")
    else:
        kind = task.answers.get("kind") if isinstance(task.answers, dict) else None
        known(
            str(kind),
            [each for each in KINDS if KINDS[each].Definition],
            f"{path}.answers.kind",
            "the kinds of answers",
        )
        task.answers = _section(KINDS[kind].Definition, task.answers, f"{path}.answers")
        taken = {*OF_PREDICT, *KINDS[kind].Options.model_fields}.intersection(task.declared.inputs)
        if taken:
            raise ValueError(
                f"{path}.inputs: `{min(taken)}` is an option of `pipestill predict`; choose another name, and say in "
                "`data.columns` how the column is called"
            )


def _section(section: type[S], given: Any, path: str = "") -> S:
    """``given`` as ``section``, which lies at ``path``."""
    try:
        return section.model_validate(given)
    except ValidationError as error:
        raise ValueError(_sentence(error, path)) from None


def _sentence(error: ValidationError, above: str) -> str:
    """One sentence about the first wrong key; the alternatives of a union are errors of their own, and are joined."""
    found = [(_path(above, details["loc"]), details) for details in error.errors()]
    path, first = found[0]
    if "[key]" in first["loc"]:
        return (
            f"`{path}`: names consist of lower-case letters, digits, `.` and `-`, begin with a letter, have "
            f"{LONGEST_NAME} characters at most, and do not end with {' or '.join(f'`{ending}`' for ending in BESIDE)}"
        )
    if first["type"] == "extra_forbidden":
        return f"unknown key `{path}`; docs/config.md lists the keys"
    if first["type"] == "missing":
        return f"`{path}` is missing"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{path}: {message}" if path else message
    messages = dict.fromkeys(_message(details) for other, details in found if other == path)
    return f"`{path}` is {quoted(first['input'])}, but: {' or '.join(messages)}"


def _path(above: str, location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if not MEMBER.fullmatch(str(part))]
    return shortened(".".join([*([above] if above else []), *parts]), LONGEST_PATH)


def _message(details: Any) -> str:
    is_section = details["type"] in ("model_type", "model_attributes_type", "dict_type")
    return "a mapping is expected" if is_section else details["msg"]
