"""Choosing the weights that become the result, on validation rows."""

from collections.abc import Callable
from typing import Any

from pipestill.training.answer_metric import AnswerMetric, selection_questions
from pipestill.training.candidates import Candidates
from pipestill.training.job import Job
from pipestill.training.weights import put_weights


def select_weights(
    model: Any, candidates: Candidates, metric: str | None = None, measure: Callable[[int], float] | None = None
) -> dict[str, Any]:
    """Put the weights of the best candidate into ``model``.

    Args:
        metric: name of what ``measure`` gives; none: the validation loss decides.
        measure: the metric of the model with the weights of a step in it; more is better.

    Returns:
        The content of ``selection.json``: ``by``, ``step`` and ``candidates``, lowest validation loss first. Of equal
        ones the first is taken.
    """
    rows = []
    for step, loss in candidates.losses().items():
        rows.append({"step": step, "eval_loss": loss})
        if measure is not None:
            put_weights(model, candidates.load(step))
            rows[-1][metric] = measure(step)
    best = max(rows, key=lambda row: row[metric]) if measure is not None else rows[0]
    put_weights(model, candidates.load(best["step"]))
    return {"by": metric or "eval_loss", "step": best["step"], "candidates": rows}


def choose(trainer: Any, job: Job, candidates: Candidates) -> dict[str, Any]:
    """Choose by validation loss or by metric, as the settings say; see :func:`select_weights`."""
    training = job.settings.training
    if training.select == "loss":
        return select_weights(trainer.model, candidates)
    questions = selection_questions(job.inputs.validation, job.objective.file.answer, training.selection_rows)
    if job.divided:
        trainer.model.to(job.plan.device)  # from main memory
    metric = AnswerMetric(trainer, job, questions, candidates)
    return select_weights(trainer.model, candidates, metric.name, metric)
