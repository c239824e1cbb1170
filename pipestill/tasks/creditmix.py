"""CreditMix: the credit risk of an applicant, Good, Standard or Bad, from six features in one line of text."""

from collections.abc import Mapping
from typing import Any

from pipestill.tasks.base import BadRow, Example, Task
from pipestill.tasks.creditmix_synthetic import LABELS, generate

INSTRUCTION = "Classify the credit mix of the applicant as Good, Standard or Bad. Return only the label."
FIELDS = (
    "Age",
    "Occupation",
    "Annual Income",
    "Outstanding Debt",
    "Credit Utilization Ratio",
    "Payment Behaviour",
)


def prompt(features: str) -> str:
    """The user's message: the fixed instruction, then the features."""
    return f"{INSTRUCTION}\n{features}"


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
    return Example(text=question.strip(), target=label, label=label)


CREDITMIX = Task(
    name="creditmix",
    title="CreditMix",
    primary_metric="macro_f1",
    labels=LABELS,
    prompt=prompt,
    parse=parse,
    synthetic=generate,
    null_inputs=("", "N/A", ", ".join(f"{field}: N/A" for field in FIELDS)),
    premise="The credit mix of the applicant is",
    max_new_tokens=8,
)
