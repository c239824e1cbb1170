"""Seeded programs to write: requests in plain words, Python solutions and unit tests.

Programs are of seven families. A quarter of all combinations of their parts is held out:

* training rows and ``seen``: combinations that are not held out, with other names, parameters and wordings;
* ``unseen``: programs with a combination that no training row has;
* ``humaneval`` and ``mbpp``: the programs of ``seen`` in the layouts of these data sets, which ask in another way.

Expected results come from running the solutions, which are made of this package's own expressions.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random
from typing import Any

from pipestill.tasks.codegen.chains import chain
from pipestill.tasks.codegen.drafts import Draft
from pipestill.tasks.codegen.examples import checks
from pipestill.tasks.codegen.loops import loop, recursion
from pipestill.tasks.codegen.steps import (
    ENDS,
    FILTERS,
    MAPS,
    PARTS,
    SORTS,
    STEPS,
    TABLE_ENDS,
    TABLES,
    TEXT_ENDS,
    TEXTS,
)

FAMILIES: Mapping[str, Callable[[Random], Draft]] = {
    "sorting": chain((*FILTERS, *MAPS, *PARTS), SORTS),
    "filtering": chain((*FILTERS, *MAPS), (*FILTERS, *ENDS)),
    "strings": chain(TEXTS, (*TEXTS, *TEXT_ENDS)),
    "dictionaries": chain((*TABLES, *(step for step in STEPS if step.gives == "table")), (*TABLES, *TABLE_ENDS)),
    "arithmetic": loop,
    "recursion": recursion,
    "composed": chain(STEPS, STEPS, STEPS),
}
HELD_OUT = 4  # one in so many combinations
VERBS = ("pick", "scan", "tidy", "fold", "trim", "mix", "map", "rank", "gather", "shape", "weigh", "split")
NOUNS = ("units", "rows", "cells", "marks", "parts", "lots", "codes", "bits", "lines", "stacks", "keys", "sets")
UNSEEN = "unseen"
Row = dict[str, Any]


def generate(sizes: Mapping[str, int], seed: int) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """Rows by role in the layouts of MBPP and, for ``humaneval``, of HumanEval, and rows by family for the manifest.

    No two rows ask the same, across roles too.

    Args:
        sizes: rows of ``train`` and of each test set.
        seed: of everything random; test rows do not depend on the number of training rows.
    """
    seen: set[str] = set()
    rows = {role: _rows(role, sizes[role], seed, seen) for role in sorted(sizes, key=lambda role: role == "train")}
    families = {role: dict(sorted(Counter(row["family"] for row in rows[role]).items())) for role in sizes}
    return rows, {"rows_by_family": families}


def held_out(draft: Draft) -> bool:
    """True if a combination of the draft is one that no training row has."""
    return any(hashlib.sha256(" | ".join(pair).encode()).digest()[0] % HELD_OUT == 0 for pair in pairwise(draft.parts))


def _rows(role: str, n: int, seed: int, seen: set[str]) -> list[Row]:
    rng = Random(f"codegen {seed} {role}")
    layout = _LAYOUTS.get(role, _described)
    rows: list[Row] = []
    while len(rows) < n:
        family = list(FAMILIES)[len(rows) % len(FAMILIES)]
        draft = FAMILIES[family](rng)
        if held_out(draft) != (role == UNSEEN):
            continue
        row = _row(rng, draft, layout)
        asked = row and (row.get("text") or row["prompt"])
        if row and asked not in seen:
            seen.add(asked)
            rows.append({"task_id": f"{role}/{len(rows)}", **row, "family": family})
    return rows


def _row(rng: Random, draft: Draft, layout: Callable[..., Row]) -> Row | None:
    """The draft with a name and tests, in a layout; none where no tests tell what it does."""
    name = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}{rng.choice(('', f'_{rng.randint(1, 99)}'))}"
    head = f"def {name}({', '.join(draft.arguments)}):"
    body = [f"    {line.format(name=name)}" for line in draft.lines]
    shorter = ["\n".join([head, *body[:i], *body[i + 1 :]]) for i in range(len(body))]
    tests = checks(rng, draft, name, "\n".join([head, *body]), shorter)
    return tests and layout(rng, draft, name, head, body, tests)


def _described(rng: Random, draft: Draft, name: str, head: str, body: list[str], tests: list[str]) -> Row:
    """The layout of MBPP, with a text that names the function and its arguments."""
    text = rng.choice(draft.asked).format(signature=head.removeprefix("def ").removesuffix(":"))
    return {"text": text, "code": "\n".join([head, *body]), "test_list": tests, "test_setup_code": ""}


def _mbpp(rng: Random, draft: Draft, name: str, head: str, body: list[str], tests: list[str]) -> Row:
    """The layout of MBPP, whose texts do not name functions."""
    return _described(rng, draft, name, head, body, tests) | {"text": _unnamed(draft)}


def _humaneval(rng: Random, draft: Draft, name: str, head: str, body: list[str], tests: list[str]) -> Row:
    """The layout of HumanEval, in which a function's head and docstring ask for its body."""
    calls = [f"    {test.replace(name, 'candidate', 1)}" for test in tests]
    return {
        "prompt": f'{head}\n    """{_unnamed(draft)}"""\n',
        "canonical_solution": "\n".join(body) + "\n",
        "test": "\n".join(["def check(candidate):", *calls]) + "\n",
        "entry_point": name,
    }


def _unnamed(draft: Draft) -> str:
    """The first request without the function's name."""
    return draft.asked[0].replace(" {signature}", "")


_LAYOUTS = {"humaneval": _humaneval, "mbpp": _mbpp}  # of test sets; of all other rows: _described
