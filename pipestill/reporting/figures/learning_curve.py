"""Figure of what each method reaches with shares of the training rows."""

import numpy as np

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
from pipestill.reporting.learning_curve import LearningCurve

WIDEST = 0.3  # of the way from one share to the next, that the intervals of all methods take side by side
APART = 0.05  # steps on the logarithmic axis between two methods, where there is room


def learning_curve(curve: LearningCurve) -> str:
    """The primary metric by training rows, a line a method with the interval of each point; the untrained student is
    drawn through all."""
    study, trained = curve.study, curve.study.trained
    ticks = [at.trained[0].evaluation.n_train for at in curve.at.values()]
    room = min(np.diff(np.log(ticks)), default=1.0) * WIDEST / len(trained)
    with row_axes(study, max(3.2, 0.19 * len(trained) + 1.4)) as axes:
        named = []
        for row, method in enumerate(trained):
            colour, aside = colour_of(study, method), (row - (len(trained) - 1) / 2) * min(APART, room)
            points = list(curve.of(method.method).values())
            x = [each.evaluation.n_train * np.exp(aside) for each in points]
            last = draw_curve(axes, study.primary, x, points, colour, dashes_of(study, method))
            named.append((*last, method.title, colour))
        if curve.base:
            metric = curve.base.metric(study.primary)
            if metric.ci95:
                axes.axhspan(*metric.ci95, color=REFERENCE, alpha=0.15, linewidth=0)
            axes.axhline(metric.mean, color=REFERENCE, linewidth=1.2, linestyle=(0, (3, 2)))
            named.append((axes.get_xlim()[1], metric.mean, curve.base.title, REFERENCE))
        number_rows(axes, ticks, [f"{rows}\n{100 * share:.4g} %" for rows, share in zip(ticks, curve.at, strict=True)])
        name_at_the_right(axes, named)
        return svg(axes.figure)
