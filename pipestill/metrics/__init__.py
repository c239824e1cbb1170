"""Metrics of generated text; none needs torch."""

from collections.abc import Sequence
from functools import partial

from pipestill.errors import UserError
from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.rouge import rouge_l

METRICS = {  # of one answer against its references, by a task's `metrics`
    "answers": {"rouge_l": partial(rouge_l, stemming=True), "exact_match": exact_match},
    "summaries": {"rouge_l": rouge_l, "exact_match": exact_match},  # of any language, and the stemmer is for English
}
ANSWER_METRICS = METRICS["answers"]
HIGHEST = {"rouge_l": 100.0, "exact_match": 1.0, "token_accuracy": 1.0, "perplexity": float("inf")}  # the lowest is 0


def score_answers(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, list[float]]:
    """Every metric of ``ANSWER_METRICS`` for each answer, by metric.

    Raises:
        UserError: there are more or fewer references than predictions, or an answer has none.
    """
    if len(predictions) != len(references):
        raise UserError(f"{len(predictions)} predictions cannot be scored against references of {len(references)} rows")
    return {
        name: [metric(prediction, texts) for prediction, texts in zip(predictions, references, strict=True)]
        for name, metric in ANSWER_METRICS.items()
    }


__all__ = ["ANSWER_METRICS", "HIGHEST", "METRICS", "exact_match", "rouge_l", "score_answers"]
