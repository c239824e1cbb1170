"""Figures of metrics: as dots with intervals, and against what they cost."""

import math
from collections.abc import Sequence

from pipestill.reporting.figures.canvas import (
    INK,
    WIDTH,
    colour_of,
    draw_interval,
    name_at_the_right,
    name_rows,
    panels,
    style,
    svg,
)
from pipestill.reporting.study import Experiment, Study

FEW = 6  # experiments, which lie far enough apart to be drawn on one scale with the untrained student

TEST_METRICS = "Test metrics: mean over the seeds with its 95 % interval; small dots are single runs."  # caption


def dots(study: Study, experiments: Sequence[Experiment], names: Sequence[str], line: Experiment | None = None) -> str:
    """One panel a metric, one row an experiment: mean with its interval, and the single runs.

    Args:
        study: what the experiments belong to.
        experiments: rows, from the top.
        names: metrics, in the order of the panels.
        line: an experiment whose mean is drawn through all rows.
    """
    with style() as Figure:
        columns = 3
        height = (0.26 * len(experiments) + 0.85) * math.ceil(len(names) / columns)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        for index, (axes, name) in enumerate(zip(panels(figure, len(names), columns), names, strict=True)):
            if line:
                axes.axvline(line.mean(name), color=INK, alpha=0.35, linewidth=1, linestyle=(0, (3, 2)))
            for row, experiment in enumerate(experiments):
                metric, colour = experiment.metric(name), colour_of(study, experiment)
                draw_interval(axes, row, metric.ci95, colour)
                axes.plot(metric.mean, row, "o", color=colour, markersize=6)
                values = metric.per_seed if len(metric.per_seed) > 1 else []
                axes.plot(values, [row + 0.28] * len(values), ".", color=colour, markersize=4, alpha=0.7)
            name_rows(axes, [experiment.title for experiment in experiments], named=index % columns == 0)
            axes.set_title(study.metric_title(name))
            axes.locator_params(axis="x", nbins=4)
        return svg(figure)


def cost(study: Study) -> str | None:
    """The primary metric against the processor time of training, with that of what compressed students were made of;
    the teacher, and base among few, are for scale."""
    points = []
    for experiment in study.experiments:
        train = experiment.evaluation.cost.train
        if train is None and len(study.experiments) > FEW:
            continue
        if train is None or train.cpu_s is not None:
            before = experiment.evaluation.cost.parent
            points.append(((train.cpu_s if train else 0.0) + ((before and before.cpu_s) or 0.0), experiment))
    if len(points) < 2:
        return None
    with style() as Figure:
        figure = Figure(figsize=(WIDTH * 0.75, max(3.0, 0.19 * len(points) + 1)), layout="constrained")
        axes = figure.add_subplot()
        for x, experiment in points:
            metric, colour = experiment.metric(study.primary), colour_of(study, experiment)
            draw_interval(axes, x, metric.ci95, colour, upright=True)
            axes.plot(x, metric.mean, "o", color=colour)
        axes.set(xlabel="processor time of training, s per seed", ylabel=study.metric_title(study.primary))
        named = [
            (x, experiment.mean(study.primary), experiment.title, colour_of(study, experiment))
            for x, experiment in points
        ]
        name_at_the_right(axes, named)
        return svg(figure)
