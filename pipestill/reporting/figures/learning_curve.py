"""Figure of what each method reaches with shares of the training rows."""

import numpy as np

from pipestill.reporting.figures.canvas import (
    REFERENCE,
    WIDTH,
    colour_of,
    dashes_of,
    draw_interval,
    name_at_the_right,
    style,
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
    with style() as Figure:
        from matplotlib.ticker import NullLocator

        figure = Figure(figsize=(WIDTH * 0.75, max(3.2, 0.19 * len(trained) + 1.4)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        named = []
        for row, method in enumerate(trained):
            colour, aside = colour_of(study, method), (row - (len(trained) - 1) / 2) * min(APART, room)
            points = list(curve.of(method.method).values())
            x = [each.evaluation.n_train * np.exp(aside) for each in points]
            for place, each in zip(x, points, strict=True):
                draw_interval(axes, place, each.metric(study.primary).ci95, colour, upright=True)
            means = [each.mean(study.primary) for each in points]
            axes.plot(x, means, color=colour, linestyle=dashes_of(study, method), marker="o", markersize=5)
            named.append((x[-1], means[-1], method.title, colour))
        if curve.base:
            metric = curve.base.metric(study.primary)
            if metric.ci95:
                axes.axhspan(*metric.ci95, color=REFERENCE, alpha=0.15, linewidth=0)
            axes.axhline(metric.mean, color=REFERENCE, linewidth=1.2, linestyle=(0, (3, 2)))
            named.append((axes.get_xlim()[1], metric.mean, curve.base.title, REFERENCE))
        labels = [f"{rows}\n{100 * share:.4g} %" for rows, share in zip(ticks, curve.at, strict=True)]
        axes.set_xticks(ticks, labels)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="training rows", ylabel=study.metric_title(study.primary))
        axes.set_title(f"{study.name}: mean over the seeds, with its 95 % interval")
        name_at_the_right(axes, named)
        return svg(figure)
