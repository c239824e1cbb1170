"""Model cards of models that write code."""

from pipestill.answers.code import CodeOptions
from pipestill.answers.generated.card import decoding, measured, test_sets
from pipestill.evaluation.card import Card, metrics_table
from pipestill.evaluation.evaluation import Evaluation


def card(evaluation: Evaluation) -> Card:
    """The way answers are found and judged, metrics, and what tests do not say."""
    options = CodeOptions.model_validate(evaluation.answers)
    planned = "; behind a plan that the model writes first" if options.plan_then_code else ""
    return Card(
        facts=[("answers", f"{decoding(options)}{planned}"), *test_sets(evaluation)],
        results=[
            measured(evaluation),
            metrics_table(evaluation),
            f"Answers were run with unit tests in a sandbox: `{evaluation.signatures['sandbox']}`.",
        ],
        limits=[
            "pass@1 says that code passes a few tests, not that it is right for all inputs, or safe to run.",
        ],
    )
