"""Whether a document says what JSON about it says: by its letters and digits, so that no gold object is needed.

Each text, number and date stands in the document as a whole, and at a place of its own; the values of an item of a list
stand together, apart from those of other items.
"""

import re
from calendar import month_abbr
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import inf
from typing import Any

from pipestill.answers.json.writing import Said
from pipestill.io.normal import normalise

LETTERS = str.maketrans("0158|c", "olsble")  # what scans take for each other, as letters; ``rn`` is ``m`` too
DIGITS = str.maketrans("olsb|", "01581")  # and as digits
DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
MONTHS = [name.casefold() for name in month_abbr]  # by their numbers, of English; those of other languages are not read
PLACES = 2  # behind the point of an amount
STEPS = 500  # of a search for places, after which an answer passes

Span = tuple[int, int]
Path = tuple[str | int, ...]


def says(document: str, value: Any, said: Said) -> bool:
    """True if the leaves of ``value`` stand in ``document``, each at a place of its own: texts but for case, spaces and
    what scans mistake, numbers with the separators of any country, and dates in any order of their parts.

    What the schema lists need not be there, unless the document has another one of the list.

    Args:
        document: the text.
        value: JSON.
        said: what its schema says of it.
    """
    text, loose, items = Document(document), [], {}
    for leaf in _leaves(value, said):
        if leaf.value in leaf.listed:
            if not text.places(leaf.value) and any(map(text.places, leaf.listed)):
                return False
        else:
            own = loose if leaf.item is None else items.setdefault(leaf.item, [])
            own.append(text.places(leaf.value))
    together = [_windows(places) for places in items.values()]
    alone = [[(place,) for place in places] for places in loose]
    return all([*together, *alone]) and _fit(together, alone)


@dataclass(frozen=True)
class Leaf:
    """A part of JSON that is neither null, nor a truth value, a list or an object.

    Attributes:
        value: a text or a number.
        listed: texts that the schema lists in its place.
        item: where the outermost item of a list is that it is in; none outside of lists.
    """

    value: str | int | float
    listed: Sequence[str]
    item: Path | None


def _leaves(value: Any, said: Said, path: Path = (), item: Path | None = None) -> Iterator[Leaf]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, said.of(key), (*path, key), item)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            own = (*path, place)
            yield from _leaves(each, said.of(place), own, own if item is None else item)
    elif value is not None and not isinstance(value, bool):
        yield Leaf(value, [each for each in said.values if isinstance(each, str)], item)


class Document:
    """A text in which values are looked for."""

    def __init__(self, text: str):
        self._text = normalise(text)
        self._digits = self._text.translate(DIGITS)

    @cached_property
    def _letters(self) -> tuple[str, list[int]]:
        return _letters(self._text)

    def places(self, value: str | float) -> list[Span]:
        """Where it stands, as a whole."""
        if not isinstance(value, str):
            found = (match.span() for match in re.finditer(_spelt(value), self._digits))
            return [span for span in found if self._is_number(*span)]
        if date := DATE.fullmatch(value):
            return self._dates(*map(int, date.groups()))
        (wanted, _), (letters, places) = _letters(normalise(value)), self._letters
        if not wanted:
            return []
        found, start = [], -1
        while (start := letters.find(wanted, start + 1)) >= 0:
            span = places[start], places[start + len(wanted) - 1] + 1
            if not self._is_inside(*span):
                found.append(span)
        return found

    def _is_inside(self, start: int, end: int) -> bool:
        """True for a part of a word, also of one that a hyphen or a stroke divides."""
        before, behind = self._text[max(0, start - 2) : start], self._text[end : end + 2]
        return bool(re.search(r"\w[-/_]?$", before) or re.match(r"[-/_]?\w", behind))

    def _is_number(self, start: int, end: int) -> bool:
        """True for digits, and not letters that scans take for these."""
        text = self._text
        if not any(each.isdigit() for each in text[start:end]):
            return False
        is_word = text[start - 1 : start].isalpha() and not text[start].isdigit()
        return not is_word and not (text[end : end + 1].isalpha() and not text[end - 1].isdigit())

    def _dates(self, year: int, month: int, day: int) -> list[Span]:
        y, m, d = rf"(?:{year // 100:02})?{year % 100:02}", f"0?{month}", f"0?{day}"
        parts = rf"{d}\D{{1,3}}{m}\D{{1,3}}{y}|{m}\D{{1,3}}{d}\D{{1,3}}{y}|{y}\D{{1,3}}{m}\D{{1,3}}{d}"
        found = [match.span() for match in re.finditer(rf"(?<!\d)(?:{parts})(?!\d)", self._digits)]
        words = r"((?:\w+\W{1,3}){1,3})"
        named = (
            rf"(?<!\d){d}(?!\d)(?:\w\w)?\W{{1,3}}{words}{y}(?!\d)|(\w+)\W{{1,3}}{d}(?!\d)(?:\w\w)?\W{{1,3}}{y}(?!\d)"
        )
        for match in re.finditer(named, self._digits):
            between = self._text[slice(*match.span(match.lastindex))]
            months = {MONTHS.index(word[:3]) for word in re.findall(r"\w+", between) if word[:3] in MONTHS}
            if months <= {month} and not any(each.isdigit() for each in between):
                found.append(match.span())
        return found


def _windows(leaves: Sequence[Sequence[Span]]) -> list[tuple[Span, ...]]:
    """Places of the values of an item, together: around each place of the value that stands at the fewest, and on
    either side of it."""
    fewest, *others = sorted(leaves, key=len)
    found = []
    for anchor in fewest:
        for lowest, highest in ((-inf, inf), (anchor[0], inf), (-inf, anchor[0])):
            chosen = [anchor]
            for places in others:
                near = (place for place in places if lowest <= place[0] <= highest)
                free = [place for place in near if not any(_meet(place, other) for other in chosen)]
                chosen += [min(free, key=lambda place: abs(place[0] - anchor[0]))] if free else []
            if len(chosen) == len(leaves):
                found.append(tuple(chosen))
    return list(dict.fromkeys(found))


def _fit(items: Sequence[list[tuple[Span, ...]]], loose: Sequence[list[tuple[Span, ...]]]) -> bool:
    """True if every value can have a place of its own, and items lie apart; also where that takes too long to tell."""
    steps = count()

    def placed(left: Sequence[tuple[bool, list[tuple[Span, ...]]]], hulls: list[Span], taken: list[Span]) -> bool:
        if not left or next(steps) > STEPS:
            return True
        (is_item, ways), *rest = left
        for spans in ways:
            hull = (min(spans)[0], max(end for _, end in spans))
            if any(_meet(span, other) for span in spans for other in taken):
                continue
            if is_item and any(_meet(hull, other) for other in hulls):
                continue
            if placed(rest, [*hulls, hull] if is_item else hulls, [*taken, *spans]):
                return True
        return False

    order = [(True, ways) for ways in sorted(items, key=len)] + [(False, ways) for ways in sorted(loose, key=len)]
    return placed(order, [], [])


def _meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _letters(text: str) -> tuple[str, list[int]]:
    """Its letters and digits, those that scans mistake as one, and where each of them stands."""
    found = [(match[0], match.start()) for match in re.finditer(r"rn|\w|\|", text) if match[0] != "_"]
    return "".join("m" if each == "rn" else each.translate(LETTERS) for each, _ in found), [at for _, at in found]


def _spelt(number: float) -> str:
    """Pattern of a number: thousands divided or not, and as many places behind the point as it needs, or two."""
    whole, _, behind = f"{abs(number):.15g}".partition(".")
    groups = [whole[max(0, end - 3) : end] for end in range(len(whole), 0, -3)][::-1]
    thousands = "|".join(
        [whole, *([separator.join(groups) for separator in (r"\.", ",", "'", " ")] if len(groups) > 1 else [])]
    )
    zeros = "0" * (PLACES - len(behind))
    places = rf"[.,]{behind}(?:{zeros})?" if behind else rf"(?:[.,]0{{1,{PLACES}}})?"
    return rf"(?<!\d)(?<!\d[.,'])(?:{thousands}){places}(?![.,']?\d)"
