"""Model cards of models that rank labels."""

from pipestill.answers.labels.entry import LabelDetails, collapses, details_of, mean_per_class, mean_predicted
from pipestill.evaluation.card import Card, metrics_table, table
from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.formats import bracket, listing, number, percent, plural


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
            metrics_table(evaluation, {part.metric for part in first.subsets}),
            *_subsets(evaluation, first),
            "Predicted labels, averaged over the seeds, beside the answer that is always the most frequent gold label:",
            _predicted(list(runs.values())),
            "By label, averaged over the seeds:",
            table(["label", "precision", "recall", "F1", "test examples"], classes),
        ],
        limits=[
            *(f"Seed {seed} {sentence}" for seed, run in runs.items() for sentence in collapses(run)),
            "Its probabilities are relative to the listed labels; it cannot answer that none of them applies.",
        ],
    )


def _predicted(runs: list[LabelDetails]) -> str:
    """Shares of the predicted labels, and the majority baseline, on all examples and on each test set."""
    rows = [
        [
            each.test_set or "all",
            str(each.n),
            ", ".join(f"{label} {percent(share)}" for label, share in shares.items()),
            each.majority.label,
            number(each.majority.accuracy),
            number(each.majority.macro_f1),
        ]
        for each, shares in zip(runs[0].answered, mean_predicted(runs), strict=True)
    ]
    return table(["test set", "examples", "predicted", "most frequent", "its accuracy", "its macro F1"], rows)


def _subsets(evaluation: Evaluation, run: LabelDetails) -> list[str]:
    """Accuracy on parts of test sets, where they have some."""
    if not run.subsets:
        return []
    rows = []
    for part in run.subsets:
        accuracy = evaluation.metrics[part.metric]
        rows.append(
            [part.title, part.label or "all", str(part.n), number(accuracy.mean), bracket(accuracy.ci95)],
        )
    head = ["part of a test set", "gold label", "examples", "accuracy", "95 % interval"]
    return ["Accuracy on parts of the test sets:", table(head, rows)]
