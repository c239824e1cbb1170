"""Whether two values of JSON are equal, by value."""

import re
from datetime import datetime
from typing import Any

from pipestill.io.normal import clean

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?")


def equal(one: Any, other: Any) -> bool:
    """True for equal values: the same keys, the same items in one order, the same leaves (:func:`same`)."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return same(one, other)


def same(one: Any, other: Any) -> bool:
    """True for equal leaves.

    They are of one type of JSON: ``1`` and ``1.0`` are the same number, ``"1"`` and ``true`` are others. Texts are
    equal in normal form but for runs of spaces; moments (ISO dates with times) are equal if they are one instant.
    """
    kind = _kind(one)
    if kind is None or kind is not _kind(other):
        return one is None is other
    return _text(one) == _text(other) if kind is str else one == other


def _kind(value: Any) -> type | None:
    """The type of a leaf; none for null and for what is no leaf."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return float
    return str if isinstance(value, str) else None


def _text(text: str) -> str | datetime:
    text = " ".join(clean(text).split())
    if _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper())
        except ValueError:
            return text
    return text
