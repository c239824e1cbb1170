"""The figures of a study, by name."""

from pipestill.reporting.figures.context import context_curve
from pipestill.reporting.figures.frontier import frontier
from pipestill.reporting.figures.gap import gap
from pipestill.reporting.figures.metrics import cost
from pipestill.reporting.figures.queries import queries
from pipestill.reporting.figures.training import kl_to_teacher, loss
from pipestill.reporting.figures.worth import worth_curves
from pipestill.reporting.panels import Figure
from pipestill.reporting.study import Study

FIGURES = {  # of any study; its kind of answers has more
    "gap": Figure(
        gap,
        "Share of the gap between the SFT student and the teacher that each method closes, with its interval.",
    ),
    "context": Figure(
        context_curve,
        "In-context learning: the untrained student after 0 and more demonstrations, a line a prompt, mean over the "
        "draws with its interval.",
    ),
    "worth": Figure(
        worth_curves,
        "Quality by training rows, mean over the seeds with its interval. All rows of SFT have gold outputs; the other "
        "methods have those of the table, and the rest are prompts that the teacher answers. A dotted line begins at "
        "the gold outputs of its method; where it crosses SFT, that is as good. The dashed line is the teacher.",
    ),
    "frontier": Figure(
        frontier,
        "Quality against size and against the time of a token, with 95 % intervals; compressed students are hollow, "
        "small dots are other students. The line joins the students that none with less reaches.",
    ),
    "cost": Figure(cost, "What the quality costs: processor time of training per seed."),
    "query": Figure(
        queries,
        "What the quality costs at each query: tokens of the prompt, mean over the test questions. Methods whose "
        "prompts are equally long stand side by side; grey lines are the untrained student after more and more "
        "demonstrations, where that was asked for.",
    ),
    "kl": Figure(
        kl_to_teacher,
        "KL to the teacher on validation answers over training: mean over the seeds, and from the least to the "
        "greatest of them. The dashed line is the SFT student, which never saw the teacher, with its KL of the table.",
    ),
    "training": Figure(loss, "Loss in training: lines for steps, dots for the validation set, one line a seed."),
}


def figures_of(study: Study) -> dict[str, Figure]:
    """All figures that the study may have."""
    return {**study.show.FIGURES, **FIGURES}


def draw(study: Study) -> dict[str, str]:
    """SVG by figure name; a figure for which the study has no numbers is left out."""
    drawn = {name: figure.draw(study) for name, figure in figures_of(study).items()}
    return {name: svg for name, svg in drawn.items() if svg is not None}
