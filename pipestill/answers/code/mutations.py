"""Wrong solutions: a right one with a small change, which leaves the rest as it is written."""

import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import NamedTuple

OPERATORS = {
    ">": (">=", "<"), "<": ("<=", ">"), ">=": (">", "<="), "<=": ("<", ">="), "==": ("!=",), "!=": ("==",),
    "+": ("-",), "-": ("+",), "*": ("+",), "%": ("//",), "//": ("%",), "**": ("*",), "+=": ("-=",), "*=": ("+=",),
}  # fmt: skip
SWAPPED = dict(
    pair
    for one, other in (
        ("upper", "lower"), ("startswith", "endswith"), ("min", "max"), ("keys", "values"), ("True", "False"),
        ("sum", "len"), ("all", "any"), ("and", "or"), ("find", "count"), ("append", "remove"), ("split", "strip"),
    )
    for pair in ((one, other), (other, one))
)  # fmt: skip
TRIED = 12  # changes of a solution, at most


class Edit(NamedTuple):
    """A change: ``text`` in place of what stands from ``start`` to ``end``, each a line from 1 and a column from 0."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


Tokens = list[tokenize.TokenInfo]


def mutants(source: str, rng: Random) -> list[str]:
    """Different changed solutions that are Python, in a drawn order: kinds of changes take turns.

    Args:
        source: of a right solution; none comes of one that is no Python.
        rng: draws.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    edits = {name: list(kind(tokens, rng)) for name, kind in KINDS.items()}
    for found in edits.values():
        rng.shuffle(found)
    names = list(KINDS)
    rng.shuffle(names)
    turns = [edits[name][turn] for turn in range(TRIED) for name in names if turn < len(edits[name])]
    changed = dict.fromkeys(_changed(source, edit) for edit in turns)
    return [each for each in changed if each != source and _is_python(each)][:TRIED]


def _operators(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """Another operator."""
    for token in tokens:
        if token.string in OPERATORS and token.type == tokenize.OP:
            yield Edit(token.start, token.end, rng.choice(OPERATORS[token.string]))


def _numbers(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """A number that is one off."""
    for token in tokens:
        if token.type == tokenize.NUMBER and token.string.isdecimal():
            number = int(token.string)
            yield Edit(token.start, token.end, str(number + rng.choice((1, -1) if number > 0 else (1,))))


def _texts(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """A text with a letter too few, or one that is no longer empty."""
    for token in tokens:
        if token.type == tokenize.STRING and token.string[0] in "\"'" and len(token.string) > 1:
            quote, inner = token.string[0], token.string[1:-1]
            yield Edit(token.start, token.end, f"{quote}{inner[1:] if inner else ' '}{quote}")


def _names(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """A function or a word that does the other thing."""
    for token in tokens:
        if token.type == tokenize.NAME and token.string in SWAPPED:
            yield Edit(token.start, token.end, SWAPPED[token.string])


def _variables(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """An argument in place of another one, or none of a call's."""
    arguments = _arguments(tokens)
    body = next((place for place, token in enumerate(tokens) if token.type == tokenize.INDENT), len(tokens))
    for token in tokens[body:]:
        others = [name for name in arguments if name != token.string]
        if token.string in arguments and others:
            yield Edit(token.start, token.end, rng.choice(others))


def _negations(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """A condition that is turned around."""
    for token, after in pairwise(tokens):
        if token.string == "not":
            yield Edit(token.start, after.start, "")
        elif token.string == "in" and token.type == tokenize.NAME:
            yield Edit(token.start, token.end, "not in")


def _slices(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """The other side of a slice with one bound."""
    for one, two, three, four in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if one.string == "[" and four.string == "]" and ":" in (two.string, three.string):
            yield Edit(two.start, three.end, f"{three.string}{two.string}")


def _lines(tokens: Tokens, rng: Random) -> Iterator[Edit]:
    """A step that is left out."""
    ends = [token for token in tokens if token.type == tokenize.NEWLINE]
    for before, end in pairwise(ends):
        yield Edit(before.end, end.end, "")


def _arguments(tokens: Tokens) -> list[str]:
    """Names between the first brackets of the first function."""
    places = [place for place, token in enumerate(tokens) if token.string == "def"]
    if not places:
        return []
    closed = next(place for place, token in enumerate(tokens) if place > places[0] and token.string == ")")
    return [token.string for token in tokens[places[0] + 2 : closed] if token.type == tokenize.NAME]


KINDS: dict[str, Callable[[Tokens, Random], Iterator[Edit]]] = {
    "operator": _operators,
    "number": _numbers,
    "text": _texts,
    "name": _names,
    "variable": _variables,
    "negation": _negations,
    "slice": _slices,
    "line": _lines,
}


def _changed(source: str, edit: Edit) -> str:
    lines = source.splitlines(keepends=True)
    (first, begin), (last, end) = edit.start, edit.end
    after = lines[last - 1][end:] if last <= len(lines) else ""
    changed = lines[first - 1][:begin] + edit.text + after
    return "".join([*lines[: first - 1], changed, *lines[last:]]).rstrip()


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
