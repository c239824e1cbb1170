"""Figures of training: the loss of every method, and how near it comes to the teacher."""

import math
from collections import defaultdict

import numpy as np

from pipestill.reporting.figures.canvas import (
    INK,
    WIDTH,
    colour_of,
    dashes_of,
    log_scale,
    name_at_the_right,
    panels,
    style,
    svg,
)  # fmt: skip
from pipestill.reporting.study import Experiment, Study

CURVES = {"loss": {"alpha": 0.4, "linewidth": 1}, "eval_loss": {"marker": "o", "markersize": 3.5}}
FEW = 6  # methods, whose panels can be large


def loss(study: Study) -> str | None:
    """Loss over training for every method that was trained: faint lines for steps, dots for validation."""
    trained = [each for each in study.experiments if any(run.history for run in each.evaluation.runs)]
    if not trained:
        return None
    with style() as Figure:
        widest, height = (2, 2.3) if len(trained) <= FEW else (3, 1.75)
        columns = min(widest, len(trained))
        rows = math.ceil(len(trained) / columns)
        figure = Figure(figsize=(WIDTH * columns / widest, height * rows), layout="constrained")
        for index, (axes, experiment) in enumerate(zip(panels(figure, len(trained), columns), trained, strict=True)):
            colour = colour_of(study, experiment)
            for history in (run.history for run in experiment.evaluation.runs):
                for key, style_of in CURVES.items():
                    points = [(row["step"], row[key]) for row in history if row.get(key) is not None]
                    if points:
                        axes.plot(*zip(*points, strict=True), color=colour, **style_of)
            axes.set_title(experiment.title)
            axes.set_xlabel("step" if index + columns >= len(trained) else "")
            axes.set_ylabel("loss" if index % columns == 0 else "")
            log_scale(axes)  # the first steps are far above the rest
        return svg(figure)


def kl_by_step(experiment: Experiment) -> dict[int, list[float]]:
    """KL to the teacher on validation answers by training step, a value a run: steps that every run measured."""
    values = defaultdict(list)
    for run in experiment.evaluation.runs:
        for row in run.history:
            if row.get("eval_kl") is not None:
                values[row["step"]].append(row["eval_kl"])
    return {step: found for step, found in sorted(values.items()) if len(found) == len(experiment.evaluation.runs)}


def kl_to_teacher(study: Study) -> str | None:
    """KL to the teacher over training, a line a method (mean over the seeds, band from least to greatest)."""
    curves = [(each, kl_by_step(each)) for each in study.experiments]
    curves = [(experiment, curve) for experiment, curve in curves if curve]
    if not curves:
        return None
    with style() as Figure:
        figure = Figure(figsize=(WIDTH * 0.9, max(3.0, 0.19 * len(curves) + 1.4)), layout="constrained")
        axes = figure.add_subplot()
        named = []
        for experiment, curve in curves:
            colour, steps = colour_of(study, experiment), list(curve)
            values = np.array(list(curve.values()))  # [steps, runs]
            means = values.mean(axis=1)
            axes.fill_between(steps, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.13, linewidth=0)
            axes.plot(steps, means, color=colour, linestyle=dashes_of(study, experiment), marker="o", markersize=3)
            named.append((steps[-1], means[-1], experiment.title, colour))
        sft = study.sft
        if sft and sft.closeness and not any(experiment is sft for experiment, _ in curves):
            end = sft.closeness.kl.mean
            axes.axhline(end, color=INK, alpha=0.5, linewidth=1, linestyle=(0, (3, 2)))
            named.append((axes.get_xlim()[1], end, "SFT, at its end", INK))
        axes.set(xlabel="step", ylabel="KL to the teacher, nats per token")
        log_scale(axes)
        name_at_the_right(axes, named)
        return svg(figure)
