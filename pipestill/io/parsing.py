"""JSON, read strictly in one place: what Python takes but nothing here could keep or compare is not JSON either."""

import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

DIGITS = 300  # of a number: one with more is no float, one with thousands cannot be written
DEPTH = 100  # of lists and objects in each other
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class BadJson(ValueError):
    """Text that is not JSON, or none that can be used; the message says why, in a few words.

    Attributes:
        position: where the text stops to be JSON; none where it only cannot be used.
        line: of that position.
    """

    def __init__(self, reason: str, position: int | None = None, line: int | None = None):
        super().__init__(reason)
        self.position, self.line = position, line


def parse_json(text: str, exact: bool = False) -> Any:
    """The value that ``text`` is; numbers with a point or an exponent as floats, or ``exact``, as Decimal.

    Raises:
        BadJson: it is not JSON, or holds half a character (a lone surrogate), a number that is none (NaN, Infinity,
            1e999), one of more than ``DIGITS`` digits, a key twice in one object, or more than ``DEPTH`` brackets in
            each other.
    """
    value, end = parse_at(text, len(text) - len(text.lstrip(" \t\n\r")), exact)
    if rest := text[end:].strip(" \t\n\r"):
        position = text.index(rest, end)
        raise BadJson("Extra data", position, text.count("\n", 0, position) + 1)
    return value


def parse_at(text: str, start: int, exact: bool = False) -> tuple[Any, int]:
    """The value that begins at ``start``, and where it ends; raises like :func:`parse_json`."""
    try:
        value, end = (_EXACT if exact else _DECODER).raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise BadJson(error.msg, error.pos, error.lineno) from None
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    own = text[start:end]
    if own.count("[") + own.count("{") > DEPTH and _depth(own) > DEPTH:
        raise BadJson(_TOO_DEEP)
    if _HALF.search(own):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadJson("half a character (a lone surrogate) in a text") from None
    return value, end


def end_of_value(text: str, start: int) -> int:
    """Where the list or object that begins at ``start`` ends, by its brackets alone; the end of ``text`` at last."""
    depth = 0
    for found in _BRACKETS.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth <= 0:
            return found.end()
    return len(text)


_TOO_DEEP = f"more than {DEPTH} lists or objects in each other"


def _depth(text: str) -> int:
    deepest = depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise BadJson(f"a number of {len(digits)} digits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise BadJson(f"a number that is too large ({digits[:20]})")
    return value


def _exactly(digits: str) -> Decimal:
    _real(digits)
    return Decimal(digits)


def _constant(name: str) -> Any:
    raise BadJson(f"{name} in place of a number")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadJson(f"the key `{twice[:40]}` twice")
    return found


_DECODER, _EXACT = (
    json.JSONDecoder(parse_int=_whole, parse_float=real, parse_constant=_constant, object_pairs_hook=_object)
    for real in (_real, _exactly)
)
