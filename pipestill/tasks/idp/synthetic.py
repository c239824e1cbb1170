"""Seeded generator of invoices, receipts and orders in many layouts, with their gold objects.

* training rows and ``known``: papers in the same layouts;
* ``unseen``: papers in other layouts, whose lines have other words in another order.

Papers are in five currencies, five ways to write dates and five to write numbers; some do not say everything, some have
lines of no use, and some are badly scanned.
"""

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from pipestill.errors import UserError
from pipestill.tasks.idp.facts import draw
from pipestill.tasks.idp.noise import further_lines, scanned
from pipestill.tasks.idp.papers import READ, UNREAD, written
from pipestill.tasks.idp.writing import draw_hand

KNOWN, UNSEEN = "known", "unseen"  # test sets
TRIES = 10_000  # papers in a row that were there before, after which no others are expected

Row = dict[str, Any]


def generate(sizes: Mapping[str, int], seed: int) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """Rows ``{"document", "json", "layout"}`` by role, and facts for the manifest: rows by layout.

    No two rows have the same document, across roles too.

    Args:
        sizes: rows of ``train`` and of each test set.
        seed: of everything random; test rows do not depend on the number of training rows.

    Raises:
        UserError: there are not so many different papers.
    """
    seen: set[str] = set()
    rows = {role: _rows(role, sizes[role], seed, seen) for role in sorted(sizes, key=lambda role: role == "train")}
    parts = {role: dict(sorted(Counter(row["layout"] for row in rows[role]).items())) for role in sizes}
    return rows, {"rows_by_layout": parts}


def _rows(role: str, n: int, seed: int, seen: set[str]) -> list[Row]:
    rng = Random(f"idp {seed} {role}")
    papers = UNREAD if role == UNSEEN else READ
    rows: list[Row] = []
    misses = 0
    while len(rows) < n:
        paper = papers[len(rows) % len(papers)]
        facts = draw(rng)
        hand = draw_hand(rng, facts.currency)
        lines = written(rng, paper, facts, hand)
        if paper.noisy:
            lines = further_lines(rng, lines, hand)
        document = scanned(rng, paper.joiner.join(lines), facts.number)
        if document not in seen:
            seen.add(document)
            rows.append({"document": document, "json": facts.gold(), "layout": paper.name})
            misses = 0
        elif (misses := misses + 1) == TRIES:
            raise UserError(f"there are not {n} different papers for `{role}`: ask for at most {len(rows)}")
    return rows
