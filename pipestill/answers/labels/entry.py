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


class Majority(Section):
    """The answer that is always the most frequent gold label."""

    label: str
    """That label."""
    accuracy: float
    """Share of the examples that have it."""
    macro_f1: float
    """Macro F1 of such answers."""


class Answered(Section):
    """Labels that are predicted for the examples of a test set."""

    test_set: str | None
    """Its name; none for all examples."""
    n: int
    """Its examples."""
    predicted: dict[str, float]
    """Share of the predictions by label."""
    majority: Majority
    """What the most frequent gold label would give."""
    collapsed: Collapse | None
    """A label that takes nearly all predictions, if there is one."""


class SubsetAccuracy(Section):
    """Accuracy on a part of a test set."""

    test_set: str | None
    """Name of the test set; none where examples are of none."""
    subset: str | None
    """Part of the test set; none for the mean over its parts."""
    label: str | None
    """Gold label of the examples; none for all labels."""
    n: int
    """Examples."""
    metric: str
    """Name of the accuracy among the metrics."""

    @property
    def title(self) -> str:
        """Name of the part in tables: ``hans, subsequence``."""
        return ", ".join(filter(None, (self.test_set, self.subset or "mean of the parts")))


class LabelDetails(Section):
    """Details of one run."""

    per_class: dict[str, PerClass]
    """Metrics by label."""
    confusion: Confusion
    """Gold and predicted labels."""
    reliability: list[Bin]
    """Accuracy by confidence."""
    answered: list[Answered]
    """Labels that are predicted: for all examples, then for those of each test set."""
    subsets: list[SubsetAccuracy]
    """Parts of test sets, where they have some."""
    calibration: str
    """Name of the prior that is subtracted."""
    calibrations: dict[str, dict[str, float]]
    """Test metrics under every prior."""

    @property
    def collapsed(self) -> Collapse | None:
        """A label that takes nearly all predictions, if there is one."""
        return self.answered[0].collapsed


def details_of(run: RunEntry) -> LabelDetails:
    """The details of a run, typed."""
    return LabelDetails.model_validate(run.details)


def collapses(run: LabelDetails) -> list[str]:
    """What to say of a run that answers with one label: on all examples, or else on those of single test sets."""
    collapsed = [each for each in run.answered if each.collapsed]
    return [
        f"has collapsed{f' on {each.test_set}' if each.test_set else ''}: {each.collapsed.share:.0%} of its "
        f"predictions are “{each.collapsed.label}”."
        for each in (collapsed[:1] if run.collapsed else collapsed)
    ]


def mean_predicted(runs: Sequence[LabelDetails]) -> list[dict[str, float]]:
    """Shares of the predictions by label, averaged over runs: of all examples, then of those of each test set."""
    each = zip(*(run.answered for run in runs), strict=True)
    return [{label: fmean(run.predicted[label] for run in own) for label in own[0].predicted} for own in each]


def mean_per_class(runs: Sequence[LabelDetails]) -> dict[str, PerClass]:
    """Precision, recall and F1 by label, averaged over runs."""
    parts = ("precision", "recall", "f1")
    return {
        label: own.model_copy(
            update={part: fmean(getattr(run.per_class[label], part) for run in runs) for part in parts}
        )
        for label, own in runs[0].per_class.items()
    }
