"""Options of a command line that are fields of a section."""

import argparse
import json
from typing import Any, Literal, get_args, get_origin

from pipestill.answers.base import AnswerOptions, bare
from pipestill.io.records import Json


def add_options(group: Any, section: type[AnswerOptions]) -> None:
    """Add an option for each of the fields that one prompt can be answered with."""
    for name in section.asked():
        field = section.model_fields[name]
        kind, flag = bare(field.annotation), f"--{name.replace('_', '-')}"
        about = " ".join((field.description or "").split()).replace("%", "%%")
        if kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=about)
        elif get_origin(kind) is Literal:
            group.add_argument(flag, choices=get_args(kind), help=about)
        else:
            group.add_argument(flag, type=_value, metavar="VALUE", help=about)


def options_of(given: argparse.Namespace, section: type[AnswerOptions]) -> Json:
    """The fields that a command line gives."""
    return {name: value for name in section.asked() if (value := getattr(given, name)) is not None}


def _value(text: str) -> Any:
    """A number, or the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text
