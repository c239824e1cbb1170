"""One answer that is JSON, compared by hand."""

from pipestill.answers.json.show import example
from pipestill.io.records import Json, Record
from pipestill.metrics.json_fields import compare
from pipestill.reporting.blocks import Shown
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks.base import Task


def judge(task: Task, settings: PredictionSettings, record: Record, answer: str) -> tuple[Json, Shown]:
    """The metrics of ``answer`` to the question of ``record``, as its row of ``scores.jsonl`` has them, and both answer
    and reference as the report shows them."""
    fields = compare(answer, record.references)
    schema = task.answers.schema_of(task.answers.options(settings.asking.answers))
    valid = schema.accepts(answer)
    scores = {"field_f1": fields.sums, "exact_match": float(fields.exact), "schema_valid": float(valid)}
    return scores, example({"prediction": answer, "references": record.references}, scores)
