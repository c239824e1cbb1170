"""Look of the figures: SVG that takes the colour of the text around it, so that it reads on light and on dark pages.

Matplotlib draws in a mark colour that is replaced by ``currentColor``; the background is transparent. The same numbers
give the same bytes: ids come from a fixed salt, and no date is written.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from pipestill.reporting.study import Experiment, Study

INK = "#010203"  # replaced by currentColor
REFERENCE = "#8a8f98"
COLOURS = ("#2f7fd6", "#d9812b", "#2a9d6f", "#c2569f", "#8468d0", "#b8a02c", "#2aa3b3", "#cf5a4e", "#7a8f3c", "#9a6b4f")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))  # a second and a third round of the colours
WIDTH = 7.4  # inches
POINTS = 72  # an inch
LINE = 11  # height of a name, in points
_PLACES = re.compile(r'\b(?:d|x|y|points|transform)="[^"]*"')  # attributes that are places
_LONG = re.compile(r"(\.\d\d)\d+")  # hundredths of a point are enough
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pipestill",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
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


def _place(study: Study, experiment: Experiment) -> int:
    students = [each.method for each in [*study.compared, *study.compressed] if not each.is_reference]
    return students.index(experiment.method)


def colour_of(study: Study, experiment: Experiment) -> str:
    """One colour a method, the same in all figures of the study; grey for base and teacher."""
    return REFERENCE if experiment.is_reference else COLOURS[_place(study, experiment) % len(COLOURS)]


def dashes_of(study: Study, experiment: Experiment) -> Any:
    """The line style that tells methods of one colour apart, where there are more methods than colours."""
    return DASHES[_place(study, experiment) // len(COLOURS) % len(DASHES)]


@contextmanager
def style() -> Iterator[Any]:
    """The class of figures, inside a context that draws in this style."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        yield Figure


def svg(figure: Any) -> str:
    """The drawn figure as text."""
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata, bbox_inches="tight", pad_inches=0.05)
    text = buffer.getvalue().replace(INK, "currentColor")
    text = _PLACES.sub(lambda places: _LONG.sub(r"\1", places[0]), text)
    return re.sub(r"[ \t]+\n", "\n", text)


def panels(figure: Any, n: int, columns: int) -> list[Any]:
    """``n`` axes in rows of ``columns``."""
    rows = math.ceil(n / columns)
    return [figure.add_subplot(rows, columns, index + 1) for index in range(n)]


def name_rows(axes: Any, titles: Sequence[str], named: bool = True) -> None:
    """One row a title, from the top; their space is the same where they are not ``named``."""
    axes.set_yticks(range(len(titles)), titles if named else [""] * len(titles))
    axes.set_ylim(len(titles) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def draw_interval(axes: Any, place: float, ci95: Sequence[float] | None, colour: str, upright: bool = False) -> None:
    """An interval as a line at a place, where there is one."""
    if ci95 is not None:
        line = ([place, place], ci95) if upright else (ci95, [place, place])
        axes.plot(*line, color=colour, linewidth=2 if upright else 2.2, solid_capstyle="round")


def draw_curve(
    axes: Any, metric: str, places: Sequence[float], experiments: Sequence[Experiment], colour: str, dashes: Any = "-"
) -> tuple[float, float]:
    """A line through the means of experiments with the interval of each; returns its last point."""
    for place, each in zip(places, experiments, strict=True):
        draw_interval(axes, place, each.metric(metric).ci95, colour, upright=True)
    means = [each.mean(metric) for each in experiments]
    axes.plot(places, means, color=colour, linestyle=dashes, marker="o", markersize=5)
    return places[-1], means[-1]


@contextmanager
def row_axes(study: Study, height: float) -> Iterator[Any]:
    """Axes for the primary metric of a study by training rows, on a logarithmic scale."""
    with style() as Figure:
        axes = Figure(figsize=(WIDTH * 0.75, height), layout="constrained").add_subplot()
        axes.set(xscale="log", xlabel="training rows", ylabel=study.metric_title(study.primary))
        axes.set_title(f"{study.title or study.name}: mean over the seeds, with its 95 % interval")
        yield axes


def number_rows(axes: Any, places: Sequence[int], labels: Sequence[str], rotation: float = 0) -> None:
    """Numbers at the axis of training rows, and no others."""
    from matplotlib.ticker import NullLocator

    axes.set_xticks(places, labels, rotation=rotation)
    axes.xaxis.set_minor_locator(NullLocator())


def log_scale(axes: Any, name: Literal["x", "y"] = "y") -> None:
    """A logarithmic axis whose numbers are written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set(**{f"{name}scale": "log"})
    axis = getattr(axes, f"{name}axis")
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def spread(places: Sequence[float], least: float, low: float, high: float) -> np.ndarray:
    """``places`` moved as little as it takes (in squares) to lie ``least`` apart, in their order, within the limits.

    Isotonic regression of the places less their steps, by pooling neighbours that are too close; limits come last.
    """
    order = np.argsort(places, kind="stable")
    pools: list[list[float]] = []  # sum and count of what each pool holds
    for rank, index in enumerate(order):
        pools.append([places[index] - rank * least, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    means = np.concatenate([np.full(int(count), total / count) for total, count in pools])
    means = np.clip(means, low, max(low, high - (len(places) - 1) * least))
    moved = np.empty(len(places))
    moved[order] = means + np.arange(len(places)) * least
    return moved


def name_at_the_right(axes: Any, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Name each point ``(x, y, name, colour)`` in a column beside the axes, with a thin line to where it is."""
    axes.figure.draw_without_rendering()  # else the limits, and with them the places, are not known yet
    box, scale = axes.get_window_extent(), POINTS / axes.figure.dpi
    heights = (axes.transData.transform([point[:2] for point in points])[:, 1] - box.y0) * scale
    moved = spread(heights, LINE, -3 * LINE, box.height * scale)
    for (x, y, name, colour), height in zip(points, moved, strict=True):
        axes.annotate(
            name,
            (x, y),
            xytext=(1.05, height / scale / box.height),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colour, "alpha": 0.6, "linewidth": 0.8, "relpos": (0, 0.5),
                "shrinkA": 0, "shrinkB": 3,
            },
        )  # fmt: skip
