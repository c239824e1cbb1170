"""Unit tests of synthetic programs: arguments drawn by seed, and what the program gives for them."""

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from pipestill.tasks import lexicon
from pipestill.tasks.codegen.drafts import Draft, drawn

TESTS = 6  # of a program
DRAWS = 4  # of all tests together, before a program is given up
DISTINCT = 3  # results that its tests must have at least
LONGEST = 160  # characters of a result
WORDS = (*lexicon.FRUITS, *lexicon.ANIMALS, *lexicon.COLOURS, *lexicon.FIRST_NAMES, *lexicon.PLACES)

Values = dict[str, Any]


def _numbers(rng: Random) -> list[int]:
    return [rng.randint(-20, 30) for _ in range(rng.randint(3, 8))] + rng.choices((0, 1, 2, 5), k=rng.randint(0, 2))


def _words(rng: Random) -> list[str]:
    chosen = [rng.choice(WORDS) for _ in range(rng.randint(2, 6))]
    return [*chosen, *rng.sample(chosen, rng.randint(0, 1))]


def _text(rng: Random) -> str:
    return rng.choice((" ", " ", "-")).join(rng.choice(WORDS) for _ in range(rng.randint(1, 3)))


def _table(rng: Random) -> dict[str, int]:
    return {word: rng.randint(0, 9) for word in rng.sample(WORDS, rng.randint(2, 5))}


VALUES: dict[str, Callable[[Random], Any]] = {
    "numbers": _numbers,
    "words": _words,
    "text": _text,
    "table": _table,
    "number": lambda rng: rng.randint(1, 40),
}  # of arguments by kind; those of other kinds are parameters


def argument(rng: Random, kind: str) -> Any:
    """A value of an argument of a kind."""
    return VALUES[kind](rng) if kind in VALUES else drawn(rng, kind)


def results(source: str, name: str, calls: list[Values]) -> list[Any] | None:
    """What a program of ours gives for its arguments; none where it fails or gives nothing to compare.

    It is run in this process, so ``source`` must come from this package.
    """
    space: Values = {}
    try:
        exec(source, space)
        function: Callable[..., Any] = space[name]
        found = [function(**deepcopy(call)) for call in calls]
    except Exception:  # a step met a value that is not for it
        return None
    return found if all(len(repr(each)) <= LONGEST for each in found) else None


def checks(rng: Random, draft: Draft, name: str, source: str, shorter: list[str]) -> list[str] | None:
    """Assertions about a program; none where no drawn arguments tell it from shorter ones.

    Args:
        rng: draws arguments.
        draft: says which there are.
        name: of the function.
        source: of the program.
        shorter: sources of programs that do a part of it; some test must fail for each.
    """
    for _ in range(DRAWS):
        calls = [{key: argument(rng, kind) for key, kind in draft.arguments.items()} for _ in range(TESTS)]
        found = results(source, name, calls)
        if found is None or len({repr(each) for each in found}) < DISTINCT:
            continue
        if all(results(other, name, calls) != found for other in shorter):
            return [
                f"assert {name}({', '.join(map(repr, call.values()))}) == {result!r}"
                for call, result in zip(calls, found, strict=True)
            ]
    return None
