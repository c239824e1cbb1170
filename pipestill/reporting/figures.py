"""The figures, as SVG that takes the colour of the text around it, so that it reads on light and on dark pages.

Matplotlib draws in a mark colour that is replaced by ``currentColor``; the background is transparent. The same numbers
give the same bytes: ids come from a fixed salt, and no date is written.
"""

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pipestill.evaluation.formats import metric_title, number
from pipestill.reporting.collect import Experiment, Study

INK = "#010203"  # replaced by currentColor
REFERENCE = "#8a8f98"
COLOURS = ("#2f7fd6", "#d9812b", "#2a9d6f", "#c2569f", "#8468d0", "#b8a02c", "#2aa3b3", "#cf5a4e", "#7a8f3c", "#9a6b4f")
WIDTH = 7.4  # inches
FEW = 10  # predictions; accuracy over fewer is noise
CURVES = {"loss": {"alpha": 0.4, "linewidth": 1}, "eval_loss": {"marker": "o", "markersize": 3.5}}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pipestill",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.8,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def colour_of(study: Study, experiment: Experiment) -> str:
    """One colour a method, the same in all figures of the study; grey for base and teacher."""
    if experiment.is_reference:
        return REFERENCE
    methods = [each.method for each in study.experiments if not each.is_reference]
    return COLOURS[methods.index(experiment.method) % len(COLOURS)]


@contextmanager
def _style() -> Iterator[Any]:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        yield Figure


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata, bbox_inches="tight", pad_inches=0.05)
    text = buffer.getvalue().replace(INK, "currentColor")
    return re.sub(r"[ \t]+\n", "\n", text)


def _panels(figure: Any, n: int, columns: int) -> list[Any]:
    """``n`` axes in rows of ``columns``."""
    rows = math.ceil(n / columns)
    return [figure.add_subplot(rows, columns, index + 1) for index in range(n)]


def metrics(study: Study) -> str:
    """Every metric of every method: mean with its interval, and the single runs."""
    names = [study.primary, *(name for name in study.experiments[0].evaluation["metrics"] if name != study.primary)]
    with _style() as Figure:
        columns = 3
        height = (0.3 * len(study.experiments) + 0.75) * math.ceil(len(names) / columns)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        for index, (axes, name) in enumerate(zip(_panels(figure, len(names), columns), names, strict=True)):
            for row, experiment in enumerate(study.experiments):
                metric, colour = experiment.metric(name), colour_of(study, experiment)
                axes.plot(metric["ci95"], [row, row], color=colour, linewidth=2.2, solid_capstyle="round")
                axes.plot(metric["mean"], row, "o", color=colour, markersize=6)
                values = metric["per_seed"] if len(metric["per_seed"]) > 1 else []
                axes.plot(values, [row + 0.28] * len(values), ".", color=colour, markersize=4, alpha=0.7)
            titles = [experiment.title for experiment in study.experiments]
            axes.set_yticks(range(len(titles)), titles if index % columns == 0 else [""] * len(titles))
            axes.set_ylim(len(titles) - 0.4, -0.6)
            axes.tick_params(axis="y", length=0)
            axes.set_title(metric_title(name))
            axes.locator_params(axis="x", nbins=4)
        return _svg(figure)


def _pooled_confusion(experiment: Experiment) -> tuple[list[str], np.ndarray]:
    confusions = [run["confusion"] for run in experiment.evaluation["runs"]]
    return confusions[0]["labels"], sum(np.array(confusion["matrix"]) for confusion in confusions)


def confusion(study: Study) -> str:
    """Confusion matrix of every method, runs pooled, as shares of each gold label."""
    with _style() as Figure:
        columns = min(3, len(study.experiments))
        rows = math.ceil(len(study.experiments) / columns)
        figure = Figure(figsize=(WIDTH * columns / 3, 2.35 * rows), layout="constrained")
        for axes, experiment in zip(_panels(figure, len(study.experiments), columns), study.experiments, strict=True):
            labels, counts = _pooled_confusion(experiment)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.grid(False)
            for (i, j), share in np.ndenumerate(shares):
                axes.fill_between([j, j + 1], i, i + 1, color=COLOURS[0], alpha=float(share) ** 0.8, linewidth=0)
                ink = "#ffffff" if share > 0.7 else INK
                axes.text(j + 0.5, i + 0.5, f"{share:.0%}", ha="center", va="center", color=ink)
            ticks = np.arange(len(labels)) + 0.5
            axes.set(xlim=(0, len(labels)), ylim=(len(labels), 0), title=experiment.title, xlabel="predicted")
            axes.set_xticks(ticks, labels)
            axes.set_yticks(ticks, labels, rotation=90, va="center")
            axes.set_ylabel("gold")
            axes.tick_params(length=0)
        return _svg(figure)


def _pooled_reliability(experiment: Experiment) -> list[dict[str, Any]]:
    """Bins over the runs together, means weighted by their counts; without those of fewer than ``FEW`` predictions."""
    pooled = []
    for bins in zip(*(run["reliability"] for run in experiment.evaluation["runs"]), strict=True):
        full = [bin for bin in bins if bin["n"]]
        n = sum(bin["n"] for bin in full)
        if n >= FEW:
            means = {key: sum(bin["n"] * bin[key] for bin in full) / n for key in ("confidence", "accuracy")}
            pooled.append({"n": n, **means})
    return pooled


def reliability_diagram(study: Study) -> str:
    """Accuracy against confidence for every method, runs pooled; the area of a dot is its share of the examples."""
    with _style() as Figure:
        columns = min(3, len(study.experiments))
        rows = math.ceil(len(study.experiments) / columns)
        figure = Figure(figsize=(WIDTH * columns / 3, 2.35 * rows), layout="constrained")
        for axes, experiment in zip(_panels(figure, len(study.experiments), columns), study.experiments, strict=True):
            bins = _pooled_reliability(experiment)
            total, colour = sum(bin["n"] for bin in bins), colour_of(study, experiment)
            x, y = [bin["confidence"] for bin in bins], [bin["accuracy"] for bin in bins]
            axes.plot([0, 1], [0, 1], "--", color=INK, alpha=0.4, linewidth=1)
            axes.plot(x, y, color=colour, linewidth=1.2)
            axes.scatter(x, y, s=[8 + 200 * bin["n"] / total for bin in bins], color=colour, alpha=0.85, linewidth=0)
            ece = experiment.mean("ece")
            axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="confidence", ylabel="accuracy")
            axes.set_title(f"{experiment.title}: ECE {number(ece)}")
            axes.set_xticks([0, 0.5, 1])
            axes.set_yticks([0, 0.5, 1])
        return _svg(figure)


def training(study: Study) -> str | None:
    """Loss over training for every method that was trained: faint lines for steps, dots for validation."""
    trained = [each for each in study.experiments if any(run["history"] for run in each.evaluation["runs"])]
    if not trained:
        return None
    with _style() as Figure:
        columns = min(2, len(trained))
        rows = math.ceil(len(trained) / columns)
        figure = Figure(figsize=(WIDTH * columns / 2, 2.3 * rows), layout="constrained")
        for axes, experiment in zip(_panels(figure, len(trained), columns), trained, strict=True):
            colour = colour_of(study, experiment)
            for history in (run["history"] for run in experiment.evaluation["runs"]):
                for key, style in CURVES.items():
                    points = [(row["step"], row[key]) for row in history if row.get(key) is not None]
                    if points:
                        axes.plot(*zip(*points, strict=True), color=colour, **style)
            axes.set(title=experiment.title, xlabel="step", ylabel="loss")
            axes.set_yscale("log")  # the first steps are far above the rest
        return _svg(figure)


def _label_points(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Name each point at its right, or at its left where a neighbour is in the way; below a name that is there."""
    placed: list[tuple[float, float, str]] = []
    axes.autoscale_view()  # else the limits, and with them the places, are not known yet
    line, reach = 11, 50  # height of a name and how far it may reach, in points
    places = axes.transData.transform([point[:2] for point in points]) * 72 / axes.figure.dpi
    for (left, middle), (x, y, text) in sorted(zip(places, points, strict=True), key=lambda pair: -pair[0][1]):
        crowded = any(0 < other - left < reach and abs(height - middle) < 4 * line for other, height in places)
        side, top = "right" if crowded else "left", middle
        for other, height, other_side in placed:
            if side == other_side and abs(left - other) < reach:
                top = min(top, height - line)
        placed.append((left, top, side))
        offset = (-7 if crowded else 7, top - middle)
        axes.annotate(text, (x, y), xytext=offset, textcoords="offset points", ha=side, va="center")


def cost(study: Study) -> str | None:
    """The primary metric against the processor time of training; base and teacher are there for scale."""
    points = []
    for experiment in study.experiments:
        train = experiment.evaluation["cost"]["train"]
        if train is None or train["cpu_s"] is not None:
            points.append((train["cpu_s"] if train else 0.0, experiment))
    if len(points) < 2:
        return None
    with _style() as Figure:
        figure = Figure(figsize=(WIDTH * 0.75, 3), layout="constrained")
        axes = figure.add_subplot()
        for x, experiment in points:
            metric, colour = experiment.metric(study.primary), colour_of(study, experiment)
            axes.plot([x, x], metric["ci95"], color=colour, linewidth=2, solid_capstyle="round")
            axes.plot(x, metric["mean"], "o", color=colour)
        axes.margins(x=0.12)
        axes.set(xlabel="processor time of training, s per seed", ylabel=metric_title(study.primary))
        _label_points(axes, [(x, experiment.mean(study.primary), experiment.title) for x, experiment in points])
        return _svg(figure)


FIGURES: dict[str, tuple[Callable[[Study], str | None], str]] = {
    "metrics": (metrics, "Test metrics: mean over the seeds with its 95 % interval; small dots are single runs."),
    "cost": (cost, "What the quality costs: processor time of training per seed."),
    "confusion": (confusion, "Confusion matrices: share of each gold label (row) by predicted label, runs pooled."),
    "reliability": (
        reliability_diagram,
        "Reliability: accuracy by confidence, runs pooled; the larger a dot, the more predictions (bins of fewer than "
        f"{FEW} are left out). On the dashed line, confidence is earned.",
    ),
    "training": (training, "Loss in training: lines for steps, dots for the validation set, one line a seed."),
}


def draw(study: Study) -> dict[str, str]:
    """SVG by figure name; a figure for which the study has no numbers is left out."""
    drawn = {name: function(study) for name, (function, _) in FIGURES.items()}
    return {name: svg for name, svg in drawn.items() if svg is not None}
