"""Checking a merged configuration, in one sentence about the first wrong key."""

import json
from typing import Any

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.plan.config import Config


def check(config: dict[str, Any]) -> Config:
    """Check a merged configuration.

    Raises:
        UserError: one sentence with the path of the first wrong key.
    """
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        raise UserError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """One sentence about the first wrong key; the alternatives of a union are errors of their own, and are joined."""
    found = [(_path(details["loc"]), details) for details in error.errors()]
    path, first = found[0]
    if first["type"] == "extra_forbidden":
        return f"config: unknown key `{path}`; docs/config.md lists the keys"
    if first["type"] == "missing":
        return f"config: `{path}` is missing"
    if "[key]" in first["loc"]:
        return f"config: `{path}`: names consist of lower-case letters, digits, `.` and `-`, and begin with a letter"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"config: {path}: {message}" if path else f"config: {message}"
    messages = dict.fromkeys(_message(details) for other, details in found if other == path)
    return f"config: `{path}` is {json.dumps(first['input'], default=str)}, but: {' or '.join(messages)}"


def _path(location: tuple[int | str, ...]) -> str:
    internal = ("literal", "list[", "constrained", "[key]", "int", "float", "str")  # pydantic's names of union members
    return ".".join(str(part) for part in location if not str(part).startswith(internal))


def _message(details: Any) -> str:
    is_section = details["type"] in ("model_type", "model_attributes_type", "dict_type")
    return "a mapping is expected" if is_section else details["msg"]
