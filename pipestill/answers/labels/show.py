"""Report on studies that rank labels: figures, results by label and under every calibration."""

from dataclasses import dataclass
from statistics import fmean

from pipestill.answers.labels.entry import LabelDetails, details_of, mean_per_class
from pipestill.answers.labels.figures import FEW, confusion, reliability_diagram
from pipestill.evaluation.formats import listing
from pipestill.io.records import Json
from pipestill.methods import BASE
from pipestill.reporting.figures.metrics import dots
from pipestill.reporting.panels import Figure, Panel
from pipestill.reporting.study import Experiment, Study

CALIBRATION_METRICS = ("macro_f1", "accuracy", "nll", "brier", "ece")
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
            if collapsed := details_of(run).collapsed:
                found.append(
                    f"{title}, seed {run.seed}, has collapsed: {collapsed.share:.0%} of its predictions are "
                    f"“{collapsed.label}”."
                )
        if mass < LOW_LABEL_MASS and experiment.method != BASE:
            found.append(
                f"{title} gives the labels only {mass:.0%} of the probability of an answer's first token: their "
                "ranking compares continuations that the model would seldom write."
            )
    return [*found, *_rare(study)]


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


def _metrics(study: Study) -> str:
    return dots(study, study.experiments, study.columns)


def _view(study: Study) -> Json:
    return {
        "per_class": [(each, mean_per_class(_details(each))) for each in study.experiments],
        "calibrations": [(each, calibration_rows(each, study.primary)) for each in study.experiments],
        "metrics": CALIBRATION_METRICS,
    }


def _details(experiment: Experiment) -> list[LabelDetails]:
    return [details_of(run) for run in experiment.evaluation.runs]


PANELS = (Panel("results", "labels_metrics.html.j2", lambda study: {}), Panel("end", "labels.html.j2", _view))
FIGURES = {
    "metrics": Figure(
        _metrics, "Test metrics: mean over the seeds with its 95 % interval; small dots are single runs."
    ),
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
OVERALL = "all examples"  # what a metric of several test sets is of
