"""Seeded stand-in for instruction data: training rows of small skills, and five test sets of different kinds.

* ``dolly``: the skills and wordings of the training rows;
* ``selfinst``: the same skills in wordings that no training row has;
* ``vicuna``: open instructions whose answers are longer than any in training;
* ``sinst``: skills with several acceptable answers, asked by a definition of the task;
* ``uinst``: combinations of two skills that no training row has.
"""

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from pipestill.tasks.dolly.open_questions import COMBINED, LONG, SHORT, UNSEEN
from pipestill.tasks.dolly.scenes import Skill
from pipestill.tasks.dolly.skills import SKILLS

DEFINITIONS = {
    "members": "In this task you are given a text. Return only the words for {kind}s.",
    "summary": "In this task you are given a text of two sentences. Return one sentence that says what was done.",
    "prices": "In this task you are given two prices. Return who paid {more}, and for what.",
    "count": "In this task you are given a list of words. Return the number of {kind}s and their names.",
}
LEARNT = (*SKILLS, *SHORT, *COMBINED)
ASKED = {
    "train": tuple((skill, skill.wordings) for skill in LEARNT),
    "dolly": tuple((skill, skill.wordings) for skill in LEARNT),
    "selfinst": tuple((skill, skill.paraphrases) for skill in LEARNT if skill.paraphrases),
    "vicuna": tuple((skill, skill.wordings) for skill in LONG),
    "sinst": tuple((skill, (DEFINITIONS[skill.name],)) for skill in LEARNT if skill.name in DEFINITIONS),
    "uinst": tuple((skill, skill.wordings) for skill in UNSEEN),
}  # role -> skills and how they are asked


def generate(sizes: Mapping[str, int], seed: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Rows ``{"instruction", "input", "output", "skill"}`` by role, and facts for the manifest: rows by skill.

    No two rows ask the same, across roles too. ``output`` is a list where several answers are acceptable and the role
    is ``sinst``, as in the published files.

    Args:
        sizes: rows of ``train`` and of each test set.
        seed: of everything random; test rows do not depend on the number of training rows.
    """
    seen: set[tuple[str, str]] = set()
    rows = {role: _rows(role, sizes[role], seed, seen) for role in sorted(sizes, key=lambda role: role == "train")}
    skills = {role: dict(sorted(Counter(row["skill"] for row in rows[role]).items())) for role in sizes}
    return rows, {"rows_by_skill": skills}


def _rows(role: str, n: int, seed: int, seen: set[tuple[str, str]]) -> list[dict[str, Any]]:
    rng = Random(f"dolly {seed} {role}")
    rows: list[dict[str, Any]] = []
    while len(rows) < n:
        row = _row(role, *rng.choice(ASKED[role]), rng)
        question = row["instruction"], row["input"]
        if question not in seen:
            seen.add(question)
            rows.append(row)
    return rows


def _row(role: str, skill: Skill, wordings: tuple[str, ...], rng: Random) -> dict[str, Any]:
    case = skill.draw(rng)
    return {
        "instruction": rng.choice(wordings).format(**case.slots),
        "input": case.text,
        "output": list(case.answers) if role == "sinst" else case.answers[0],
        "skill": skill.name,
    }
