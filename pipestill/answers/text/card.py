"""Model cards of models that generate text."""

import json

from pipestill.answers.generated.card import decoding, measured, test_sets
from pipestill.answers.text import TextOptions
from pipestill.evaluation.card import Card, metrics_table
from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.formats import plural
from pipestill.metrics.catalogue import metric_title

WORDS_IN_COMMON = "words in common with a reference, not whether an answer is right"


def card(evaluation: Evaluation) -> Card:
    """The way answers are found, metrics with their signatures, and the limits of metrics of words."""
    n = evaluation.sentences
    how = f"{plural(n, 'sentence')} of the document" if n else decoding(TextOptions.model_validate(evaluation.answers))
    results = [measured(evaluation), metrics_table(evaluation)]
    if evaluation.signatures:
        lines = [
            f"- {name}: `{each if isinstance(each, str) else json.dumps(each)}`"
            for name, each in evaluation.signatures.items()
        ]
        results += ["Signatures:", "\n".join(lines)]
    return Card(
        facts=[("answers", how), *test_sets(evaluation)],
        results=results,
        limits=[f"{metric_title(evaluation.primary_metric)} measures {WORDS_IN_COMMON}."],
    )
