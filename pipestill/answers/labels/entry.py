"""Details in ``eval.json`` of a run that ranks labels."""

from collections.abc import Sequence
from statistics import fmean

from pipestill.evaluation.evaluation import RunEntry
from pipestill.settings.section import Section


class Confusion(Section):
    """Counts of gold and predicted labels."""

    labels: list[str]
    """Of rows and columns."""
    matrix: list[list[int]]
    """Rows gold, columns predicted."""


class Bin(Section):
    """Predictions of about the same confidence."""

    low: float
    """Confidence is above this."""
    high: float
    """And at most this."""
    n: int
    """Number of predictions."""
    confidence: float | None
    """Their mean confidence; none of no predictions."""
    accuracy: float | None
    """Share that is right; none of no predictions."""


class PerClass(Section):
    """Metrics of one label."""

    precision: float
    """Share of its predictions that are right."""
    recall: float
    """Share of its examples that are found."""
    f1: float
    """Harmonic mean of both."""
    support: int
    """Its examples."""


class Collapse(Section):
    """A label that takes nearly all predictions."""

    label: str
    """Its name."""
    share: float
    """Share of the predictions."""


class LabelDetails(Section):
    """Details of one run."""

    per_class: dict[str, PerClass]
    """Metrics by label."""
    confusion: Confusion
    """Gold and predicted labels."""
    reliability: list[Bin]
    """Accuracy by confidence."""
    collapsed: Collapse | None
    """A label that takes nearly all predictions, if there is one."""
    calibration: str
    """Name of the prior that is subtracted."""
    calibrations: dict[str, dict[str, float]]
    """Test metrics under every prior."""


def details_of(run: RunEntry) -> LabelDetails:
    """The details of a run, typed."""
    return LabelDetails.model_validate(run.details)


def mean_per_class(runs: Sequence[LabelDetails]) -> dict[str, PerClass]:
    """Precision, recall and F1 by label, averaged over runs."""
    parts = ("precision", "recall", "f1")
    return {
        label: own.model_copy(
            update={part: fmean(getattr(run.per_class[label], part) for run in runs) for part in parts}
        )
        for label, own in runs[0].per_class.items()
    }
