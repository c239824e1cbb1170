"""IDP (intelligent document parsing): what does an invoice, a receipt or an order say?

Answers are JSON by ``resources/schemas/idp_schema.json``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.answers.json import JsonObject
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.test_sets import TestSets
from pipestill.schemas.schema import Schema
from pipestill.settings.prompts import Prompt
from pipestill.tasks.base import ANSWER, Task
from pipestill.tasks.idp.synthetic import KNOWN, UNSEEN, generate

CENT = 0.005  # half of one: what sums of amounts may differ by


def adds_up(paper: Mapping[str, Any]) -> bool:
    """True if the total is that of the items, or no item is said."""
    items = paper["items"]
    return not items or abs(sum(each["quantity"] * each["price"] for each in items) - paper["total"]) < CENT


SCHEMA = "resources/schemas/idp_schema.json"
ANSWERS = JsonObject(
    schema=Schema((Path(__file__).resolve().parents[3] / SCHEMA).read_text(encoding="utf-8")),
    max_new_tokens=224,
    consistent=adds_up,
)


def parse(row: Mapping[str, Any]) -> Example:
    """Read ``{"document", "json"}``, where ``json`` is an object or its text; ``layout`` beside them names a kind of
    document."""
    document, layout = row["document"], row.get("layout")
    if not isinstance(document, str) or not document.strip():
        raise BadRow(f"`document` is {'empty' if isinstance(document, str) else 'not text'}")
    if not isinstance(layout, str | None):
        raise BadRow("`layout` is not text")
    try:
        target = ANSWERS.read(row["json"])
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Example({"document": document.strip()}, target, subset=layout or None)


IDP = Task(
    name="idp",
    inputs=("document",),
    prompts={ANSWER: Prompt(text="Extract the fields as JSON.\n{document}")},
    layout=TestSets((KNOWN, UNSEEN)),
    answers=ANSWERS,
    parse=parse,
    synthetic=generate,
)
