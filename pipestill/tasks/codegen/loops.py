"""Programs that loop over a range, and programs that call themselves."""

from dataclasses import dataclass
from random import Random

from pipestill.tasks.codegen.drafts import Arguments, Draft


@dataclass(frozen=True)
class Piece:
    """A part of a program.

    Attributes:
        name: in combinations.
        words: what requests say, with the gaps ``k``, its parameter, and ``what``, of what it is.
        code: its Python, with the gaps ``k`` and ``x``, a value.
        kind: of its parameter; none without one.
    """

    name: str
    words: str
    code: str
    kind: str | None = None


TERMS = (
    Piece("itself", "the numbers", "{x}"),
    Piece("square", "the squares of the numbers", "{x} * {x}"),
    Piece("times", "{k} times the numbers", "{x} * {k}", "factor"),
    Piece("plus", "{k} plus the numbers", "{x} + {k}", "factor"),
)
CONDITIONS = (
    Piece("divided", "that {k} divides", "{x} % {k} == 0", "divisor"),
    Piece("above", "above {k}", "{x} > {k}", "length"),
    Piece("ending", "that end in {k}", "{x} % 10 == {k}", "length"),
    Piece("even", "that are even", "{x} % 2 == 0"),
    Piece("odd", "that are odd", "{x} % 2 == 1"),
)


def loop(rng: Random) -> Draft:
    """A sum or a product over some numbers of a range."""
    arguments = Arguments(rng)
    n = arguments.add("number")
    what, start, sign = rng.choice((("sum", 0, "+"), ("product", 1, "*")))
    term, condition = rng.choice(TERMS), rng.choice(CONDITIONS)
    first, second = arguments.parameter(term.kind), arguments.parameter(condition.kind)
    asked = f"the {what} of {term.words.format(k=first)} from 1 to {n} {condition.words.format(k=second)}"
    lines = (
        f"total = {start}",
        f"for i in range(1, {n} + 1):",
        f"    if {condition.code.format(x='i', k=second)}:",
        f"        total {sign}= {term.code.format(x='i', k=first)}",
        "return total",
    )
    requests = (
        f"Write a function {{signature}} that returns {asked}.",
        f"{{signature}} computes {asked}. Write it.",
        f"Write {{signature}}: {asked}.",
    )
    return Draft((f"{what} {term.name}", condition.name), arguments.kinds, requests, lines)


@dataclass(frozen=True)
class Walk:
    """A way through a value, one part at a time.

    Attributes:
        name: in combinations.
        kind: of the value ``x``, an argument.
        what: its parts in requests.
        ended: Python that is true at the end.
        one: Python of the part.
        rest: Python of the rest.
    """

    name: str
    kind: str
    what: str
    ended: str
    one: str
    rest: str


NUMBER_WALKS = (
    Walk("list", "numbers", "the numbers in {x}", "not {x}", "{x}[0]", "{x}[1:]"),
    Walk("list from its end", "numbers", "the numbers of {x} from last to first", "not {x}", "{x}[-1]", "{x}[:-1]"),
    Walk("digits", "number", "the digits of {x}", "{x} == 0", "{x} % 10", "{x} // 10"),
    Walk("down", "number", "the numbers from {x} down to 1", "{x} <= 0", "{x}", "{x} - 1"),
)
LETTER_WALKS = (
    Walk("letters", "text", "the letters of {x}", "not {x}", "{x}[0]", "{x}[1:]"),
    Walk("letters from the end", "text", "the letters of {x} from last to first", "not {x}", "{x}[-1]", "{x}[:-1]"),
)
NUMBER_MEASURES = (
    Piece("sum", "adds up {what}", "{x}"),
    Piece("squares", "adds up the squares of {what}", "{x} * {x}"),
    Piece("times", "adds up {k} times each of {what}", "{x} * {k}", "factor"),
    Piece("above", "counts those of {what} that are above {k}", "int({x} > {k})", "length"),
    Piece("divided", "counts those of {what} that {k} divides", "int({x} % {k} == 0)", "divisor"),
    Piece("equal", "counts those of {what} that are equal to {k}", "int({x} == {k})", "length"),
)
LETTER_MEASURES = (
    Piece("same", "counts those of {what} that are {k}", "int({x} == {k})", "letter"),
    Piece("vowels", "counts those of {what} that are in aeiou", 'int({x} in "aeiou")'),
)
LETTER_TEXTS = (
    Piece("kept", "joins {what}", "{x}"),
    Piece("repeated", "joins {k} of each of {what}", "{x} * {k}", "length"),
    Piece("raised", "joins {what} in capitals", "{x}.upper()"),
    Piece("followed", "joins {what} with {k} behind each", "({x} + {k})", "letter"),
)
CALLS = (
    *((NUMBER_WALKS, NUMBER_MEASURES, "0"),) * 2,
    (LETTER_WALKS, LETTER_MEASURES, "0"),
    (LETTER_WALKS, LETTER_TEXTS, '""'),
)  # walks, what is done with their parts, and what the end gives


def recursion(rng: Random) -> Draft:
    """A function that calls itself with the rest of its value."""
    walks, measures, nothing = rng.choice(CALLS)
    walk, measure = rng.choice(walks), rng.choice(measures)
    arguments = Arguments(rng)
    x = arguments.add(walk.kind)
    k = arguments.parameter(measure.kind)
    more = "".join(f", {name}" for name in arguments.kinds if name != x)
    asked = measure.words.format(what=walk.what.format(x=x), k=k)
    one, rest = (measure.code.format(x=walk.one.format(x=x), k=k), walk.rest.format(x=x))
    lines = (
        f"if {walk.ended.format(x=x)}:",
        f"    return {nothing}",
        f"return {one} + {{name}}({rest}{more})",
    )
    requests = (
        f"Write a recursive function {{signature}} that {asked}.",
        f"{{signature}} {asked}. Write it by recursion.",
        f"By recursion, {{signature}} {asked}. Write it.",
    )
    return Draft((walk.name, measure.name), arguments.kinds, requests, lines)
