"""One label that is compared by hand."""

from pipestill.answers.labels.show import verdict
from pipestill.io.records import Json, Record
from pipestill.reporting.blocks import Shown, text
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks.base import Task


def judge(task: Task, settings: PredictionSettings, record: Record, answer: str) -> tuple[Json, Shown]:
    """The metric of ``answer`` to the question of ``record`` that a label has by itself, and both answer and reference
    as the report shows them."""
    gold = record.references[0]
    return {"accuracy": float(answer == gold)}, Shown(verdict(answer, gold), [text(gold)])
