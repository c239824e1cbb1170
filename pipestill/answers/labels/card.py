"""Model cards of models that rank labels."""

from pipestill.answers.labels.entry import details_of, mean_per_class
from pipestill.evaluation.card import Card, metrics_table, table
from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.formats import listing, number, plural


def card(evaluation: Evaluation) -> Card:
    """Labels and calibration, metrics in all and by label, and which runs have collapsed."""
    runs = {run.seed: details_of(run) for run in evaluation.runs}
    first = next(iter(runs.values()))
    classes = [
        [label, number(own.precision), number(own.recall), number(own.f1), str(own.support)]
        for label, own in mean_per_class(list(runs.values())).items()
    ]
    return Card(
        facts=[
            ("labels", ", ".join(first.confusion.labels)),
            ("calibration", listing(sorted({run.calibration for run in runs.values()}))),
        ],
        results=[
            f"{plural(evaluation.n_test, 'test example')}, {plural(len(evaluation.seeds), 'seed')}; the calibration "
            "was chosen on validation data. Intervals cover the choice of test examples and the seeds.",
            metrics_table(evaluation),
            "By label, averaged over the seeds:",
            table(["label", "precision", "recall", "F1", "test examples"], classes),
        ],
        limits=[
            *(
                f"Seed {seed} has collapsed: {run.collapsed.share:.0%} of its predictions are “{run.collapsed.label}”."
                for seed, run in runs.items()
                if run.collapsed
            ),
            "Its probabilities are relative to the listed labels; it cannot answer that none of them applies.",
        ],
    )
