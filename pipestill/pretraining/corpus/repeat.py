"""Copying: repeat-after-me over the whole lexicon, numbers and made-up words."""

from functools import cache
from random import Random

from pipestill.pretraining.corpus.document import Document, chat
from pipestill.tasks import lexicon
from pipestill.tasks.creditmix.synthetic import LABELS, OCCUPATIONS, PAYMENT_EFFECTS
from pipestill.tasks.multiclinsum import lexicon as clinical_lexicon

REQUESTS = (
    "Repeat: {text}",
    "Say this again: {text}",
    "Copy the line.\n{text}",
    "{text}\nRepeat it.",
    "Repeat after me.\n{text}",
)


@cache
def words() -> tuple[str, ...]:
    """Every word that a generator can write, sorted."""
    found: set[str] = set(OCCUPATIONS) | set(PAYMENT_EFFECTS) | set(LABELS)
    for module in (lexicon, clinical_lexicon):
        for name, value in vars(module).items():
            if name.isupper():
                found |= _strings(value)
    return tuple(sorted(found))


def _strings(value) -> set[str]:
    if isinstance(value, str):
        return set(value.split())
    if isinstance(value, dict):
        return set().union(*(_strings(part) for item in value.items() for part in item))
    return set().union(*(_strings(part) for part in value)) if isinstance(value, (list, tuple)) else set()


def _token(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.65:
        return rng.choice(words())
    if draw < 0.8:
        return f"{lexicon.amount(rng):.2f}"
    if draw < 0.9:
        return lexicon.code(rng)
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 8)))


def repeat(rng: Random) -> Document:
    """One to three lines to be repeated word for word."""
    turns = []
    for _ in range(rng.randint(1, 3)):
        text = rng.choice((" ", " ", " ", ", ")).join(_token(rng) for _ in range(rng.randint(1, 14)))
        turns.append((rng.choice(REQUESTS).format(text=text), text))
    return chat("repeat", *turns)


def label_word(rng: Random) -> Document:
    """A single word to be repeated, so that every label word is known as a whole answer."""
    word = rng.choice(lexicon.LABEL_WORDS)
    return chat("repeat", (rng.choice(REQUESTS).format(text=word), word))
