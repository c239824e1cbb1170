"""Drafts of synthetic programs, their arguments and their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

ARGUMENTS = {
    "numbers": ("values", "numbers", "data", "xs"),
    "words": ("words", "names", "items"),
    "text": ("text", "line", "title"),
    "table": ("table", "stock", "points"),
    "number": ("n", "number", "last"),
    "bound": ("limit", "level"),
    "divisor": ("d", "base"),
    "length": ("size", "k"),
    "factor": ("amount", "factor"),
    "letter": ("sign", "letter"),
}  # names of arguments by their kind
RANGES = {"bound": (1, 19), "divisor": (2, 7), "length": (1, 5), "factor": (2, 12)}
LETTERS = "aeiouabcdlmnoprst-_"
PASSED = 0.25  # share of the parameters that are arguments


@dataclass(frozen=True)
class Draft:
    """A program that has no name yet.

    Attributes:
        parts: what it combines, each with the next.
        arguments: kinds by name.
        asked: requests with the gap ``signature``; any of them will do.
        lines: of its body, which may call ``{name}``; other braces are doubled.
    """

    parts: tuple[str, ...]
    arguments: Mapping[str, str]
    asked: tuple[str, ...]
    lines: tuple[str, ...]


class Arguments:
    """Arguments of one program, each of another name.

    Attributes:
        kinds: by name.
    """

    def __init__(self, rng: Random):
        self._rng = rng
        self.kinds: dict[str, str] = {}

    def add(self, kind: str) -> str:
        """One more argument."""
        name = self._rng.choice([name for name in ARGUMENTS[kind] if name not in self.kinds])
        self.kinds[name] = kind
        return name

    def parameter(self, kind: str | None) -> str:
        """A parameter, as request and code have it: an argument or a literal; empty without a kind."""
        if kind is None:
            return ""
        passed = self._rng.random() < PASSED
        return self.add(kind) if passed else repr(drawn(self._rng, kind)).replace("'", '"')


def drawn(rng: Random, kind: str) -> int | str:
    """A value of a parameter."""
    return rng.choice(LETTERS) if kind == "letter" else rng.randint(*RANGES[kind])
