"""What scanned papers suffer: characters that are taken for others, lines of no use, a second date."""

import re
from random import Random

from pipestill.tasks.idp.facts import draw_date
from pipestill.tasks.idp.papers import EXTRAS
from pipestill.tasks.idp.writing import Hand

CONFUSED = {"0": "O", "1": "l", "5": "S", "o": "0", "l": "1", "e": "c", "m": "rn", "B": "8"}
SCANNED = 0.2  # share of papers with confusions
MOST_CONFUSIONS = 2
FURTHER = 0.5  # share of papers with a line of no use
DUE = 0.1  # share of papers with a second date


def further_lines(rng: Random, lines: list[str], hand: Hand) -> list[str]:
    """The lines with some of no use behind the first one."""
    lines = list(lines)
    if rng.random() < DUE:
        lines.insert(rng.randint(1, len(lines)), f"{rng.choice(('Due', 'Pay until'))} {hand.day(draw_date(rng))}")
    if rng.random() < FURTHER:
        lines.insert(rng.randint(1, len(lines)), rng.choice(EXTRAS))
    return lines


def scanned(rng: Random, text: str, kept: str | None) -> str:
    """The text with a few confused characters, mostly none.

    Args:
        rng: decides.
        text: of the paper.
        kept: a part of it that nobody could read back, and that stays: its number.
    """
    if rng.random() >= SCANNED:
        return text
    safe = {place for found in re.finditer(re.escape(kept), text) for place in range(*found.span())} if kept else set()
    places = [place for place, character in enumerate(text) if character in CONFUSED and place not in safe]
    chosen = set(rng.sample(places, min(rng.randint(1, MOST_CONFUSIONS), len(places))))
    return "".join(CONFUSED[each] if place in chosen else each for place, each in enumerate(text))
