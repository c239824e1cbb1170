"""Report on studies that rank labels: figures, results by label and under every calibration."""

from dataclasses import dataclass
from statistics import fmean

from pipestill.answers.labels.entry import (
    Answered,
    LabelDetails,
    SubsetAccuracy,
    collapses,
    details_of,
    mean_per_class,
    mean_predicted,
)
from pipestill.answers.labels.figures import FEW, confusion, reliability_diagram
from pipestill.evaluation.formats import listing
from pipestill.io.records import Json
from pipestill.methods import BASE
from pipestill.reporting.blocks import Block, Shown, bars, note, text
from pipestill.reporting.figures.metrics import TEST_METRICS, dots
from pipestill.reporting.panels import Figure, Panel
from pipestill.reporting.study import Experiment, Study

CALIBRATION_METRICS = ("macro_f1", "accuracy", "nll", "brier", "ece")
BASELINE_METRICS = ("accuracy", "macro_f1")  # of the answer that is always the most frequent label
LOW_LABEL_MASS = 0.5


@dataclass(frozen=True)
class CalibrationRow:
    """One calibration of one method.

    Attributes:
        name: of the calibration.
        chosen: how many runs chose it on validation data.
        runs: how many there are.
        validation: mean of the primary metric on validation data, where it is known.
        metrics: means of ``CALIBRATION_METRICS`` on the test set.
    """

    name: str
    chosen: int
    runs: int
    validation: float | None
    metrics: list[float]


@dataclass(frozen=True)
class PredictedRow:
    """Labels that one method predicts for the examples of a test set.

    Attributes:
        experiment: the method.
        shares: of the predictions by label, mean over the runs.
        collapsed: runs that answer nearly always with one label.
        metrics: names of accuracy and macro F1 there.
    """

    experiment: Experiment
    shares: list[float]
    collapsed: int
    metrics: list[str]


def predicted_rows(study: Study) -> list[tuple[Answered, list[PredictedRow]]]:
    """Labels that each method predicts: for all examples, then for those of each test set."""
    found = []
    for place, answered in enumerate(_details(study.experiments[0])[0].answered):
        metrics = [name if answered.test_set is None else f"{name}/{answered.test_set}" for name in BASELINE_METRICS]
        rows = []
        for experiment in study.experiments:
            runs = _details(experiment)
            shares, collapsed = mean_predicted(runs)[place], sum(bool(run.answered[place].collapsed) for run in runs)
            rows.append(PredictedRow(experiment, [*shares.values()], collapsed, metrics))
        found.append((answered, rows))
    return found


def calibration_rows(experiment: Experiment, primary: str) -> list[CalibrationRow]:
    """Test metrics under every calibration, averaged over the runs."""
    runs, rows = _details(experiment), []
    for name in runs[0].calibrations:
        validation = [run.calibration.validation.get(name, {}).get(primary) for run in experiment.runs.values()]
        known = [value for value in validation if value is not None]
        rows.append(
            CalibrationRow(
                name=name,
                chosen=sum(run.calibration == name for run in runs),
                runs=len(runs),
                validation=fmean(known) if known else None,
                metrics=[fmean(run.calibrations[name][metric] for run in runs) for metric in CALIBRATION_METRICS],
            )
        )
    return rows


def warnings(study: Study) -> list[str]:
    """Runs that answer with one label, and methods whose labels are no likely answers."""
    found = []
    for experiment in study.experiments:
        title, mass = experiment.title, experiment.mean("label_mass")
        for run in experiment.evaluation.runs:
            found += [f"{title}, seed {run.seed}, {sentence}" for sentence in collapses(details_of(run))]
        if mass < LOW_LABEL_MASS and experiment.method != BASE:
            found.append(
                f"{title} gives the labels only {mass:.0%} of the probability of an answer's first token: their "
                "ranking compares continuations that the model would seldom write."
            )
    return [*found, *_rare(study)]


def example(row: Json, scores: Json) -> Shown:
    """The label that ranks first, and how likely each is."""
    gold = row["references"][0]
    return Shown([*verdict(row["prediction"], gold), bars(row["probabilities"], gold)], [text(gold)])


def verdict(label: str, gold: str) -> list[Block]:
    """A label, and whether it is right."""
    right = label == gold
    return [text(label, 0 if right else 1), note("right" if right else "wrong", "good" if right else "bad")]


def _rare(study: Study) -> list[str]:
    """Labels with too few test examples for metrics of their own."""
    supports = {label: own.support for label, own in _details(study.experiments[0])[0].per_class.items()}
    rare = [f"{label} ({support})" for label, support in supports.items() if support < FEW]
    if not rare:
        return []
    return [
        f"Few test examples have the label {listing(rare)}: what is said of one with so few is mostly chance, and "
        "macro F1 counts it as much as any other."
    ]


def _subsets(study: Study) -> Json | None:
    """Parts of test sets by their names: all labels, then each."""
    named: dict[str, list[SubsetAccuracy]] = {}
    for part in _details(study.experiments[0])[0].subsets:
        named.setdefault(part.title, []).append(part)
    return {"named": named} if named else None


def _metrics(study: Study) -> str:
    return dots(study, study.experiments, study.columns)


def _view(study: Study) -> Json:
    return {
        "labels": _details(study.experiments[0])[0].confusion.labels,
        "predicted": predicted_rows(study),
        "per_class": [(each, mean_per_class(_details(each))) for each in study.experiments],
        "calibrations": [(each, calibration_rows(each, study.primary)) for each in study.experiments],
        "metrics": CALIBRATION_METRICS,
    }


def _details(experiment: Experiment) -> list[LabelDetails]:
    return [details_of(run) for run in experiment.evaluation.runs]


PANELS = (
    Panel("results", "labels_metrics.html.j2", lambda study: {}),
    Panel("results", "labels_subsets.html.j2", _subsets),
    Panel("end", "labels.html.j2", _view, "Labels and calibration"),
)
FIGURES = {
    "metrics": Figure(_metrics, TEST_METRICS),
    "confusion": Figure(
        confusion, "Confusion matrices: share of each gold label (row) by predicted label, runs pooled."
    ),
    "reliability": Figure(
        reliability_diagram,
        "Reliability: accuracy by confidence, runs pooled; the larger a dot, the more predictions (bins of fewer than "
        f"{FEW} are left out). On the dashed line, confidence is earned.",
    ),
}
MEASURED = "labels_measured.html.j2"
SCORE = "accuracy"  # what single answers are scored by
OVERALL = "all examples"  # what a metric of several test sets is of
