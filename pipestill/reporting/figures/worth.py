"""Figure of what a teacher is worth: the primary metric by training rows, with gold outputs or without."""

from collections.abc import Iterable

import numpy as np

from pipestill.methods import SFT
from pipestill.reporting.figures.canvas import (
    REFERENCE,
    colour_of,
    dashes_of,
    draw_curve,
    name_at_the_right,
    number_rows,
    row_axes,
    svg,
)
from pipestill.reporting.study import Study

APART = 0.03  # of a logarithm between two methods, so that their intervals stand side by side
LEGIBLE = 1.15  # ratio of two numbers at the axis


def worth_curves(study: Study) -> str | None:
    """A line a method with the interval of each point, and the teacher's mean; none where the study has no curve.

    A thin line at the height of a method with all of its prompts begins at the gold outputs among its rows: above SFT
    with as many, and through the point at which SFT is as good.
    """
    if all(len(points) == 1 for points in study.worth.values()):
        return None
    with row_axes(study, 3.6) as axes:
        named, ticks = [], set()
        for row, (method, points) in enumerate(study.worth.items()):
            own = study.get(method)
            colour, aside = colour_of(study, own), np.exp((row - (len(study.worth) - 1) / 2) * APART)
            x = [each.evaluation.n_train * aside for each in points]
            last, mean = draw_curve(axes, study.primary, x, points, colour, dashes_of(study, own))
            named.append((last, mean, own.title, colour))
            ticks |= {each.evaluation.n_train for each in points}
            if method != SFT and study.sft:
                axes.hlines(mean, study.sft.evaluation.n_train, last, color=colour, linewidth=0.8, linestyle=":")
        if study.teacher:
            mean = study.teacher.mean(study.primary)
            axes.axhline(mean, color=REFERENCE, linewidth=1.2, linestyle=(0, (3, 2)))
            named.append((axes.get_xlim()[1], mean, study.teacher.title, REFERENCE))
        marked = _apart(ticks)
        number_rows(axes, marked, [str(rows) for rows in marked], rotation=45)
        name_at_the_right(axes, named)
        return svg(axes.figure)


def _apart(rows: Iterable[int]) -> list[int]:
    """Numbers at the axis: those too close to a lower one are left out."""
    kept: list[int] = []
    for each in sorted(rows):
        if not kept or each >= LEGIBLE * kept[-1]:
            kept.append(each)
    return kept
