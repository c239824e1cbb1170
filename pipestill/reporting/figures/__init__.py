"""The figures of a study, by name."""

from collections.abc import Callable

from pipestill.reporting.figures.gap import gap
from pipestill.reporting.figures.labels import FEW, confusion, reliability_diagram
from pipestill.reporting.figures.metrics import cost, metrics, test_sets
from pipestill.reporting.figures.training import kl_to_teacher, loss
from pipestill.reporting.study import Study

FIGURES: dict[str, tuple[Callable[[Study], str | None], str]] = {
    "metrics": (metrics, "Test metrics: mean over the seeds with its 95 % interval; small dots are single runs."),
    "test_sets": (
        test_sets,
        "Test sets: mean over the seeds with its 95 % interval; small dots are single runs, the dashed line is SFT. "
        "The untrained student is in the table alone.",
    ),
    "gap": (
        gap,
        "Share of the gap between the SFT student and the teacher that each method closes, with its interval.",
    ),
    "cost": (cost, "What the quality costs: processor time of training per seed."),
    "confusion": (confusion, "Confusion matrices: share of each gold label (row) by predicted label, runs pooled."),
    "reliability": (
        reliability_diagram,
        "Reliability: accuracy by confidence, runs pooled; the larger a dot, the more predictions (bins of fewer than "
        f"{FEW} are left out). On the dashed line, confidence is earned.",
    ),
    "kl": (
        kl_to_teacher,
        "KL to the teacher on validation answers over training: mean over the seeds, and from the least to the "
        "greatest of them. The dashed line is the SFT student, which never saw the teacher, with its KL of the table.",
    ),
    "training": (loss, "Loss in training: lines for steps, dots for the validation set, one line a seed."),
}


def draw(study: Study) -> dict[str, str]:
    """SVG by figure name; a figure for which the study has no numbers is left out."""
    drawn = {name: function(study) for name, (function, _) in FIGURES.items()}
    return {name: svg for name, svg in drawn.items() if svg is not None}
