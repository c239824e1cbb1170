"""Figure of quality against cost, for all studies."""

from collections.abc import Mapping, Sequence

from pipestill.reporting.conclusion import Price, price
from pipestill.reporting.figures.canvas import (
    COLOURS,
    INK,
    REFERENCE,
    WIDTH,
    draw_interval,
    panels,
    style,
    svg,
)
from pipestill.reporting.findings import Findings
from pipestill.reporting.study import Experiment

MARKERS = ("o", "s", "^", "D")  # of methods that share a colour
NAMES = 7  # of methods in a row of the legend


def quality_and_cost(findings: Sequence[Findings], titles: Mapping[str, str]) -> str:
    """A panel a study: the primary metric against the time that a method takes until it is trained; what is recommended
    has a ring.

    Args:
        findings: of the studies.
        titles: of methods by name, in an order that decides their looks.
    """
    shown = [(each, _points(each)) for each in findings]
    with style() as Figure:
        columns = min(len(shown), 3 if len(shown) in (3, 5, 6, 9) else 4)
        rows, lines = -(-len(shown) // columns), -(-len(titles) // NAMES)
        figure = Figure(figsize=(1.35 * WIDTH, 2.3 * rows + 0.2 * lines + 0.3), layout="constrained")
        handles = {}
        for axes, (found, points) in zip(panels(figure, len(shown), columns), shown, strict=True):
            study, recommended = found.study, found.conclusion.recommended
            for spent, experiment in points:
                metric, (colour, marker) = experiment.metric(study.primary), _look(experiment, [*titles])
                draw_interval(axes, spent.seconds, metric.ci95, colour, upright=True)
                if recommended and experiment is recommended.experiment:
                    ring = {"markersize": 12, "markerfacecolor": "none", "markeredgecolor": INK}
                    axes.plot(spent.seconds, metric.mean, "o", **ring, clip_on=False)
                fill = "full" if experiment.family == experiment.method else "none"
                looks = {"color": colour, "markersize": 5, "linestyle": "", "fillstyle": fill, "clip_on": False}
                (point,) = axes.plot(spent.seconds, metric.mean, marker, **looks)
                handles.setdefault(experiment.family, point)
            most = max((spent.seconds for spent, _ in points), default=1)
            axes.set_xscale("symlog", linthresh=max(1.0, most / 100), linscale=0.6)
            axes.set_xlim(left=0 - max(1.0, most / 100) / 4)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_title(study.title or study.name)
            axes.set(xlabel="seconds of training, and of what it learns from", ylabel=study.metric_title(study.primary))
        known = {method: title for method, title in titles.items() if method in handles}
        look = {"loc": "outside lower center", "ncols": NAMES, "frameon": False, "fontsize": 8.5}
        figure.legend([handles[method] for method in known], [*known.values()], **look)
        return svg(figure)


def _points(findings: Findings) -> list[tuple[Price, Experiment]]:
    study = findings.study
    priced = [(price(study, each), each) for each in study.experiments]
    return [(spent, each) for spent, each in priced if spent.seconds is not None]


def _look(experiment: Experiment, order: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of a method, the same in all panels; what students are measured against is grey."""
    place = order.index(experiment.family)
    if experiment.is_reference:
        return REFERENCE, MARKERS[place % len(MARKERS)]
    return COLOURS[place % len(COLOURS)], MARKERS[place // len(COLOURS) % len(MARKERS)]
