"""A merged configuration as data: what a JSON file could hold, and no more than a person could mean."""

import math
from collections.abc import Mapping
from datetime import date
from itertools import count
from typing import Any

from pipestill.errors import quoted, shortened

MOST_VALUES = 50_000  # the default has about 250
DEEPEST = 40
Place = tuple[object, ...]


def plain(config: Any) -> Any:
    """A copy of a configuration as data; what YAML reads as a day is the text that stands there.

    Raises:
        ValueError: something is no data, holds itself, or is too much; begins with the path.
    """
    numbers = count(1)

    def copied(value: Any, place: Place) -> Any:
        if len(place) > DEEPEST or next(numbers) > MOST_VALUES:
            raise ValueError(
                f"`{_path(place[:3])}` has more than {DEEPEST} levels or {MOST_VALUES} values; an anchor (&name) that "
                "is named (*name) inside of itself, or again and again, makes so many"
            )
        if isinstance(value, Mapping):
            return {_text(key, place): copied(below, (*place, key)) for key, below in value.items()}
        if isinstance(value, list):
            return [copied(below, (*place, number)) for number, below in enumerate(value)]
        return value.isoformat() if type(value) is date else _datum(value, place)

    return copied(config, ())


def _text(key: object, place: Place) -> str:
    if not isinstance(key, str):
        raise ValueError(f"`{_path((*place, key))}` is a key that YAML does not read as text; quote it")
    return key


def _datum(value: Any, place: Place) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{_path(place)}` is {quoted(value)}, but: a number is expected that is finite")
    if value is not None and not isinstance(value, str | int | float):
        kind = type(value).__name__
        raise ValueError(f"`{_path(place)}` is {quoted(value)}, which YAML reads as {kind}; quote it if it is a text")
    return value


def _path(place: Place) -> str:
    return shortened(".".join(map(str, place)))
