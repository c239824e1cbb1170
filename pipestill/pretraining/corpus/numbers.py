"""Comparing and ordering numbers."""

from random import Random

from pipestill.pretraining.corpus.document import Document, chat
from pipestill.tasks import lexicon

FIELDS = ("debt", "income", "price", "balance", "weight", "score", "total")


def _pair(rng: Random) -> tuple[str, str]:
    """Two different numbers as written; often of equal length, so that the digits decide."""
    first = lexicon.amount(rng, 2, 90_000)
    second = (
        first * rng.choice((rng.uniform(0.4, 2.5), rng.uniform(0.9, 1.1)))
        if rng.random() < 0.7
        else lexicon.amount(rng, 2, 90_000)
    )
    form = rng.choice(("{:.2f}", "{:.2f}", "{:.0f}"))
    a, b = form.format(first), form.format(second)
    return (a, b) if float(a) != float(b) else _pair(rng)


def _comparison(rng: Random) -> tuple[str, str]:
    a, b = _pair(rng)
    larger, smaller = (a, b) if float(a) > float(b) else (b, a)
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice((f"Which is larger, {a} or {b}?", f"{a} or {b}: the larger one?")), larger
    if kind == 1:
        return rng.choice((f"Which is smaller, {a} or {b}?", f"{a} or {b}: the smaller one?")), smaller
    if kind == 2:
        return f"Is {a} more than {b}?", "Yes" if float(a) > float(b) else "No"
    if kind == 3:
        field, (one, two) = rng.choice(FIELDS), rng.sample(lexicon.FIRST_NAMES, 2)
        more = rng.random() < 0.6
        winner = one if (float(a) > float(b)) == more else two
        return f"{one}: {field} {a}. {two}: {field} {b}. Who has the {'larger' if more else 'smaller'} {field}?", winner
    limit, value = sorted((a, b), key=lambda _: rng.random())
    return f"The limit is {limit}. The value is {value}. Below or above?", "above" if float(value) > float(
        limit
    ) else "below"


def _size(rng: Random) -> tuple[str, str]:
    value = lexicon.amount(rng, 1, 99_999)
    text = rng.choice((f"{value:.2f}", f"{value:.0f}"))
    return f"How many digits before the point has {text}?", str(len(text.split(".")[0]))


def _order(rng: Random) -> tuple[str, str]:
    values = sorted(rng.sample(range(1, 1000), rng.randint(3, 5)))
    shown = rng.sample(values, len(values))
    up = rng.random() < 0.5
    ordered = values if up else values[::-1]
    return (
        f"Order from {'smallest to largest' if up else 'largest to smallest'}: {', '.join(map(str, shown))}",
        ", ".join(map(str, ordered)),
    )


def comparison(rng: Random) -> Document:
    """One to four questions about the size of numbers."""
    makers = rng.choices((_comparison, _size, _order), weights=(8, 1, 1), k=rng.randint(1, 4))
    return chat("numbers", *(maker(rng) for maker in makers))
