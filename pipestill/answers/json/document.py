"""Whether a document says what JSON about it says: by its letters and digits, so that no gold object is needed."""

import re
from collections.abc import Iterator
from typing import Any

from pipestill.io.normal import normalise

LETTERS = str.maketrans("0158|", "olsbl")  # what scans take for each other, as letters
DIGITS = str.maketrans("olsb|", "01581")  # and as digits
DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
PLACES = 2  # behind the point of an amount
SEPARATED = "[.,' ]?"  # between digits


def says(document: str, value: Any, known: frozenset[str]) -> bool:
    """True if each leaf of ``value`` is in ``document``: texts but for case, spaces and what scans mistake, numbers
    whatever their separators, and of dates the year and the day.

    Args:
        document: the text.
        value: JSON.
        known: texts that the schema lists, which need not be there.
    """
    text = normalise(document)
    letters, digits = _letters(text), text.translate(DIGITS)
    return all(_is_there(leaf, letters, digits, known) for leaf in _leaves(value))


def listed(schema: Any) -> frozenset[str]:
    """Texts in the lists of a schema, ``enum`` and ``const``, at any place."""
    if isinstance(schema, list):
        return frozenset().union(*map(listed, schema))
    if not isinstance(schema, dict):
        return frozenset()
    enum = schema.get("enum")
    own = [*(enum if isinstance(enum, list) else ()), schema.get("const")]
    return frozenset(each for each in own if isinstance(each, str)).union(*map(listed, schema.values()))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value is not None and not isinstance(value, bool):
        yield value


def _is_there(leaf: Any, letters: str, digits: str, known: frozenset[str]) -> bool:
    if not isinstance(leaf, str):
        amount = f"{abs(leaf):.{PLACES}f}".replace(".", "")
        plain = f"{abs(leaf):.15g}".replace(".", "")
        return any(re.search(_spelt(each), digits) for each in (plain, amount))
    if leaf in known:
        return True
    if date := DATE.fullmatch(leaf):
        year, _, day = date.groups()
        return bool(re.search(rf"(?<!\d)({year[:2]})?{year[2:]}(?!\d)", digits)) and bool(
            re.search(rf"(?<!\d)0?{int(day)}(?!\d)", digits)
        )
    return _letters(normalise(leaf)) in letters


def _letters(text: str) -> str:
    """Its letters and digits, those that scans mistake as one; ``rn`` and ``c`` are ``m`` and ``e``."""
    return re.sub(r"[^\w|]", "", text).translate(LETTERS).replace("rn", "m").replace("c", "e")


def _spelt(number: str) -> str:
    """Pattern of the digits of a number, with any separators between them."""
    return rf"(?<!\d)(?<!\d[.,']){SEPARATED.join(number)}(?![.,']?\d)"
