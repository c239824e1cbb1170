"""One answer that is code, run with the tests of its problem by hand."""

from contextlib import closing

from pipestill.answers.code.execution import Judge, outcome
from pipestill.answers.code.extraction import code_of
from pipestill.answers.code.problem import Problem
from pipestill.answers.code.show import example
from pipestill.io.records import Json, Record
from pipestill.metrics.code import same_code
from pipestill.reporting.blocks import Shown
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks.base import Task


def judge(task: Task, settings: PredictionSettings, record: Record, answer: str) -> tuple[Json, Shown]:
    """The metrics of ``answer`` to the question of ``record``, as its row of ``scores.jsonl`` has them, and both answer
    and reference as the report shows them.

    Raises:
        UserError: a required measure of the sandbox is not in force.
    """
    code = code_of(answer)
    with closing(Judge(task.answers.options(settings.asking.answers).execution)) as judge:
        [result] = judge([(Problem.of_record(record), code)])
    scores = {
        **{"pass_at_1": float(result.passed), "compile_rate": float(result.compiles)},
        **{"exact_match": float(same_code(code, record.references)), "outcome": outcome(result)},
    }
    return scores, example({"prediction": answer, "references": record.references}, scores)
