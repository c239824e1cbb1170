"""Model cards of models that answer with JSON."""

from pipestill.answers.generated.card import decoding, measured, test_sets
from pipestill.answers.json import JsonOptions
from pipestill.evaluation.card import Card, metrics_table
from pipestill.evaluation.evaluation import Evaluation

HELD = {
    "constrained": "only tokens that the schema allows are taken",
    "free": "all tokens are allowed, so that answers need not be JSON",
}


def card(evaluation: Evaluation) -> Card:
    """The way answers are found, metrics, and what is no measure of theirs."""
    options = JsonOptions.model_validate(evaluation.answers)
    return Card(
        facts=[("answers", f"{decoding(options)}; {HELD[options.decoding]}"), *test_sets(evaluation)],
        results=[measured(evaluation), metrics_table(evaluation)],
        limits=["An answer that is valid by the schema has its form; whether its fields are right, field F1 says."],
    )
