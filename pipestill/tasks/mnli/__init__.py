"""MNLI: does a sentence follow from another one, or contradict it? Pairs that leave it open are none of the task's.

``mnli-merged`` (:mod:`pipestill.tasks.mnli_merged`) takes them for pairs whose hypothesis does not follow.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipestill.answers.labels import Labels
from pipestill.layouts.example import BadRow, Example, LeftOut
from pipestill.layouts.test_sets import TestSets
from pipestill.tasks.base import ANSWER, Task
from pipestill.tasks.mnli.synthetic import NO_AGREEMENT, generate
from pipestill.tasks.mnli.traps import HEURISTICS
from pipestill.tasks.prompt_files import read_prompts

LABELS = ("entailment", "contradiction")
CLASSES = {
    "entailment": "entailment",
    "contradiction": "contradiction",
    "non-entailment": "contradiction",
    "neutral": None,
    NO_AGREEMENT: None,
}  # gold labels of MNLI and of HANS, and the task's; none: rows that are left out
ORIGIN = ("genre", "pairID", "subcase", "template")  # what rows say of where they are from
PROMPTS = read_prompts("nli")


def parse(row: Mapping[str, Any], classes: Mapping[str, str | None]) -> Example:
    """Read ``{"sentence1", "sentence2", "gold_label"}`` of MNLI and, with ``heuristic`` beside them, of HANS.

    Args:
        row: the row.
        classes: the task's label by gold label; none for one that is left out.
    """
    gold = row["gold_label"]
    if not isinstance(gold, str) or gold.strip() not in classes:
        raise BadRow(f"unknown label {gold!r}" if gold else "no label")
    label = classes[gold.strip()]
    if label is None:
        raise LeftOut("without a gold label" if gold.strip() == NO_AGREEMENT else gold.strip())
    heuristic = row.get("heuristic") or None
    if heuristic not in (None, *HEURISTICS):
        raise BadRow(f"unknown heuristic {heuristic!r}")
    inputs = {"premise": _text(row, "sentence1"), "hypothesis": _text(row, "sentence2")}
    meta = {key: str(row[key]) for key in ORIGIN if row.get(key) not in (None, "")}
    return Example(inputs, label, subset=heuristic, meta=meta)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise BadRow(f"`{key}` is {'empty' if isinstance(value, str) else 'not text'}")
    return value.strip()


MNLI = Task(
    name="mnli",
    inputs=("premise", "hypothesis"),
    prompts={ANSWER: PROMPTS["minimal"], **PROMPTS},
    layout=TestSets(("matched", "mismatched", "hans")),
    answers=Labels(LABELS, null_inputs=("", "N/A")),
    parse=partial(parse, classes=CLASSES),
    synthetic=generate,
)
