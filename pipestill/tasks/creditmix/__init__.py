"""CreditMix: the credit risk of an applicant, Good, Standard or Bad, from six features in one line of text."""

from collections.abc import Mapping
from typing import Any

from pipestill.answers.labels import Labels
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.rows import Rows
from pipestill.settings.prompts import Prompt
from pipestill.tasks.base import ANSWER, UNCONDITIONED, Task
from pipestill.tasks.creditmix.synthetic import LABELS, generate

INSTRUCTION = "Classify the credit mix of the applicant as Good, Standard or Bad. Return only the label."
FIELDS = (
    "Age",
    "Occupation",
    "Annual Income",
    "Outstanding Debt",
    "Credit Utilization Ratio",
    "Payment Behaviour",
)


def parse(row: Mapping[str, Any]) -> Example:
    """Read ``{"question": features, "answer": label}``."""
    question, answer = row.get("question"), row.get("answer")
    if not isinstance(question, str) or not question.strip():
        raise BadRow("empty text")
    if not isinstance(answer, str) or not answer.strip():
        raise BadRow("no label")
    label = answer.strip()
    if label not in LABELS:
        raise BadRow(f"unknown label {label!r}")
    return Example({"features": question.strip()}, label)


CREDITMIX = Task(
    name="creditmix",
    inputs=("features",),
    prompts={
        ANSWER: Prompt(text=f"{INSTRUCTION}\n{{features}}"),
        UNCONDITIONED: Prompt(text="The credit mix of the applicant is"),
    },
    layout=Rows(),
    answers=Labels(LABELS, null_inputs=("", "N/A", ", ".join(f"{field}: N/A" for field in FIELDS))),
    parse=parse,
    synthetic=generate,
)
