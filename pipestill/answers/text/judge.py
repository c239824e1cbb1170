"""One text that is scored by hand."""

from pipestill.answers.text.show import example
from pipestill.io.records import Json, Record
from pipestill.reporting.blocks import Shown
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks.base import Task


def judge(task: Task, settings: PredictionSettings, record: Record, answer: str) -> tuple[Json, Shown]:
    """The metrics of ``answer`` to the question of ``record``, as its row of ``scores.jsonl`` has them, and both answer
    and reference as the report shows them."""
    score = task.answers.measure.functions.score
    scored = score([answer], [record.references], [record.test_set], settings.splitter)
    scores = {name: column[0] for name, column in scored.columns.items()}
    return scores, example({"prediction": answer, "references": record.references}, scores)
