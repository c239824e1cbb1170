"""Seeded stand-in for MNLI and HANS: sentence pairs of some genres, and traps for a model that compares words.

* training rows and ``matched``: pairs of the same genres;
* ``mismatched``: pairs of other genres, with other subjects, verbs, things and openings;
* ``hans``: every word of a hypothesis is in its premise, equally often for both labels of each heuristic.

A hypothesis follows, contradicts or is left open; a few pairs have no label that annotators agree on, as in MNLI.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from pipestill.errors import UserError
from pipestill.tasks.mnli.genres import READ, UNREAD, Genre
from pipestill.tasks.mnli.statements import pair
from pipestill.tasks.mnli.traps import CELLS, trap

RELATIONS = ("entailment", "neutral", "contradiction")
NO_AGREEMENT = "-"
DISAGREED = 0.02  # share of pairs of the genres without a label
GENRES = {"train": READ, "matched": READ, "mismatched": UNREAD}
TRIES = 10_000  # rows in a row that were there before, after which no others are expected

Row = dict[str, Any]


def generate(sizes: Mapping[str, int], seed: int) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """Rows by role in the formats of MNLI and of HANS, and facts for the manifest: rows by genre or heuristic.

    No two rows have the same sentences, across roles too.

    Args:
        sizes: rows of ``train`` and of each test set.
        seed: of everything random; test rows do not depend on the number of training rows.

    Raises:
        UserError: there are not so many different rows.
    """
    seen: set[tuple[str, str]] = set()
    rows = {role: _rows(role, sizes[role], seed, seen) for role in sorted(sizes, key=lambda role: role == "train")}
    parts = {
        role: dict(sorted(Counter(row.get("heuristic") or row["genre"] for row in rows[role]).items()))
        for role in sizes
    }
    return rows, {"rows_by_part": parts}


def _pair(rng: Random, genres: Sequence[Genre]) -> Row:
    """A row of one of the genres, in the format of MNLI."""
    genre, label = rng.choice(genres), rng.choice(RELATIONS)
    premise, hypothesis = pair(rng, genre, label)
    agreed = label if rng.random() >= DISAGREED else NO_AGREEMENT
    return {"gold_label": agreed, "sentence1": premise, "sentence2": hypothesis, "genre": genre.name}


def _trap(rng: Random, number: int) -> Row:
    """The row number ``number`` of ``hans``, in its format."""
    heuristic, follows = CELLS[number % len(CELLS)]
    case, premise, hypothesis = trap(rng, heuristic, follows)
    return {
        "gold_label": "entailment" if follows else "non-entailment",
        **{"sentence1": premise, "sentence2": hypothesis},
        **{"heuristic": heuristic, "subcase": case.subcase, "template": case.premise},
    }


def _rows(role: str, n: int, seed: int, seen: set[tuple[str, str]]) -> list[Row]:
    rng = Random(f"mnli {seed} {role}")
    rows: list[Row] = []
    misses = 0
    while len(rows) < n:
        row = _trap(rng, len(rows)) if role == "hans" else _pair(rng, GENRES[role])
        sentences = row["sentence1"], row["sentence2"]
        if sentences not in seen:
            seen.add(sentences)
            rows.append({**row, "pairID": f"{role}-{len(rows)}"})
            misses = 0
        elif (misses := misses + 1) == TRIES:
            raise UserError(f"there are not {n} different pairs for `{role}`: ask for at most {len(rows)}")
    return rows
