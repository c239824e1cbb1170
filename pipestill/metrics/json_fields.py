"""Fields of JSON: which of an answer's are right, found and expected.

A field is a value that is neither null, nor a list, nor an object, with the path that leads to it: ``vendor``,
``items[].price``. A null says nothing, as a key that is not there. A field is right if its gold one has the same path,
type and value (:func:`~pipestill.metrics.json_values.same`). Items of a list are paired one to one with those of the
gold list, in the way that makes the most fields right, whatever their order; so what is there twice counts once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipestill.io.normal import clean
from pipestill.io.parsing import BadJson, parse_json
from pipestill.job.startup import need
from pipestill.metrics.json_values import equal, same

_TIES = 1e-6  # for each place that a pair of equal worth is out of order


@dataclass(frozen=True)
class Fields:
    """Fields of one answer against the gold ones, by path.

    Attributes:
        right: found where they are expected, with their type and value.
        found: in the answer.
        expected: in the gold object.
        exact: the answer equals the gold object.
        parsed: the answer is JSON; otherwise nothing is found.
    """

    right: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    exact: bool = False
    parsed: bool = True

    @property
    def sums(self) -> tuple[int, int, int]:
        """Numbers of right, found and expected fields."""
        return self.right.total(), self.found.total(), self.expected.total()

    def counts(self, path: str) -> tuple[int, int, int]:
        """The same of one path."""
        return self.right[path], self.found[path], self.expected[path]

    @property
    def f1(self) -> float:
        """F1 of this answer alone; 1 where nothing is to be found and nothing was."""
        right, found, expected = self.sums
        return 2 * right / (found + expected) if found or expected else 1.0


def compare(answer: str, references: Sequence[str]) -> Fields:
    """The fields of an answer against those of its reference with which its F1 is highest.

    Args:
        answer: text, which may be no JSON.
        references: JSON; the first one counts where several are as good.
    """
    gold = [parse_json(text) for text in references]
    try:
        value = parse_json(clean(answer))
    except BadJson:
        return Fields(expected=Counter(_paths(gold[0])), parsed=False)
    found = Counter(_paths(value))
    compared = [Fields(_right(value, each), found, Counter(_paths(each)), exact=equal(value, each)) for each in gold]
    return max(compared, key=lambda fields: (fields.exact, fields.f1))


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """The path of every field, as often as it is there."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _paths(each, _below(path, key))
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, f"{path}[]")
    elif value is not None:
        yield path


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _right(found: Any, gold: Any, path: str = "") -> Counter[str]:
    """Right fields by path."""
    if isinstance(found, dict) and isinstance(gold, dict):
        shared = [key for key in gold if key in found]
        return sum((_right(found[key], gold[key], _below(path, key)) for key in shared), Counter())
    if isinstance(found, list) and isinstance(gold, list):
        pairs = [[_right(one, other, f"{path}[]") for other in gold] for one in found]
        return sum((pairs[row][column] for row, column in _best(pairs)), Counter())
    return Counter([path]) if found is not None and same(found, gold) else Counter()


def _best(pairs: Sequence[Sequence[Counter[str]]]) -> list[tuple[int, int]]:
    """Rows and columns, each at most once, whose counts have the largest sum; among equal ones those in order."""
    worth = [[counts.total() for counts in row] for row in pairs]
    if not worth or not worth[0]:
        return []
    lines = worth if len(worth) <= len(worth[0]) else [*zip(*worth, strict=True)]
    if all(line[place] == max(line) for place, line in enumerate(lines)):  # no line could be paired better
        return [(place, place) for place in range(len(lines))]
    need("scipy")
    from scipy.optimize import linear_sum_assignment

    size = len(worth) * len(worth[0])
    ordered = [
        [value - _TIES * abs(row - column) / size for column, value in enumerate(line)]
        for row, line in enumerate(worth)
    ]
    return [*zip(*map(list, linear_sum_assignment(ordered, maximize=True)), strict=True)]
