"""IDP: what does an invoice, a receipt or an order say? JSON by ``resources/schemas/idp_schema.json``."""

import json
from collections.abc import Mapping
from typing import Any

from pipestill.answers.text import Text
from pipestill.metrics.measures import SHORT_ANSWERS
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.test_sets import TestSets
from pipestill.settings.prompts import Prompt
from pipestill.tasks.base import ANSWER, Task
from pipestill.tasks.idp.synthetic import KNOWN, UNSEEN, generate

def parse(row):
    return Example({"document": row["document"]}, json.dumps(row["json"], ensure_ascii=False), subset=row["layout"])


IDP = Task(
    name="idp",
    inputs=("document",),
    prompts={ANSWER: Prompt(text="Extract the fields as JSON.\n{document}")},
    layout=TestSets((KNOWN, UNSEEN)),
    answers=Text(SHORT_ANSWERS, max_new_tokens=192),
    parse=parse,
    synthetic=generate,
)
