"""Figures of studies that rank labels: confusion matrices and reliability diagrams."""

import math

import numpy as np

from pipestill.answers.labels.entry import Bin, details_of
from pipestill.evaluation.formats import number
from pipestill.reporting.figures.canvas import COLOURS, INK, WIDTH, colour_of, panels, style, svg
from pipestill.reporting.study import Experiment, Study

LONG = 8  # letters of a label; longer ones would touch if they stood side by side
SLANTED = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
FEW = 10  # predictions; accuracy over fewer is noise


def _pooled_confusion(experiment: Experiment) -> tuple[list[str], np.ndarray]:
    confusions = [details_of(run).confusion for run in experiment.evaluation.runs]
    return confusions[0].labels, sum(np.array(confusion.matrix) for confusion in confusions)


def confusion(study: Study) -> str:
    """Confusion matrix of every method, runs pooled, as shares of each gold label."""
    with style() as Figure:
        long = max(map(len, _pooled_confusion(study.experiments[0])[0])) > LONG
        in_a_row = 2 if long else 3
        columns = min(in_a_row, len(study.experiments))
        rows = math.ceil(len(study.experiments) / columns)
        figure = Figure(figsize=(WIDTH * columns / in_a_row, 2.35 * rows), layout="constrained")
        for axes, experiment in zip(panels(figure, len(study.experiments), columns), study.experiments, strict=True):
            labels, counts = _pooled_confusion(experiment)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.grid(False)
            for (i, j), share in np.ndenumerate(shares):
                axes.fill_between([j, j + 1], i, i + 1, color=COLOURS[0], alpha=float(share) ** 0.8, linewidth=0)
                ink = "#ffffff" if share > 0.7 else INK
                axes.text(j + 0.5, i + 0.5, f"{share:.0%}", ha="center", va="center", color=ink)
            ticks = np.arange(len(labels)) + 0.5
            axes.set(xlim=(0, len(labels)), ylim=(len(labels), 0), title=experiment.title, xlabel="predicted")
            axes.set_xticks(ticks, labels, **(SLANTED if long else {}))
            axes.set_yticks(ticks, labels, rotation=0 if long else 90, va="center")
            axes.set_ylabel("gold")
            axes.tick_params(length=0)
        return svg(figure)


def _pooled_reliability(experiment: Experiment) -> list[Bin]:
    """Bins of all runs together, means weighted by their counts; without those of fewer than ``FEW`` predictions."""
    pooled = []
    for bins in zip(*(details_of(run).reliability for run in experiment.evaluation.runs), strict=True):
        full, n = [each for each in bins if each.n], sum(each.n for each in bins)
        if n >= FEW:
            means = {key: sum(each.n * getattr(each, key) for each in full) / n for key in ("confidence", "accuracy")}
            pooled.append(bins[0].model_copy(update={"n": n, **means}))
    return pooled


def reliability_diagram(study: Study) -> str:
    """Accuracy against confidence for every method, runs pooled; the area of a dot is its share of the examples."""
    with style() as Figure:
        long = max(map(len, _pooled_confusion(study.experiments[0])[0])) > LONG
        in_a_row = 2 if long else 3
        columns = min(in_a_row, len(study.experiments))
        rows = math.ceil(len(study.experiments) / columns)
        figure = Figure(figsize=(WIDTH * columns / in_a_row, 2.35 * rows), layout="constrained")
        for axes, experiment in zip(panels(figure, len(study.experiments), columns), study.experiments, strict=True):
            bins = _pooled_reliability(experiment)
            total, colour = sum(each.n for each in bins), colour_of(study, experiment)
            x, y = [each.confidence for each in bins], [each.accuracy for each in bins]
            axes.plot([0, 1], [0, 1], "--", color=INK, alpha=0.4, linewidth=1)
            axes.plot(x, y, color=colour, linewidth=1.2)
            axes.scatter(x, y, s=[8 + 200 * each.n / total for each in bins], color=colour, alpha=0.85, linewidth=0)
            ece = experiment.mean("ece")
            axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="confidence", ylabel="accuracy")
            axes.set_title(f"{experiment.title}: ECE {number(ece)}")
            axes.set_xticks([0, 0.5, 1])
            axes.set_yticks([0, 0.5, 1])
        return svg(figure)
