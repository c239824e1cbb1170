"""Figure of quality against the size of models and the time that they take."""

from collections.abc import Callable

from pipestill.methods import TEACHER_NAME
from pipestill.reporting.figures.canvas import (
    INK,
    REFERENCE,
    WIDTH,
    colour_of,
    draw_interval,
    log_scale,
    name_at_the_right,
    style,
    svg,
)
from pipestill.reporting.study import Experiment, Study
from pipestill.settings.sizes import Size

MS = 1000


def _milliseconds(size: Size) -> float:
    return MS / size.speed


def frontier(study: Study) -> str | None:
    """The primary metric against bytes on disk and against the milliseconds of a token, a point a row; lines join the
    students that no smaller or faster one reaches. Nothing where no sizes were measured."""
    shown = [each for each in study.experiments if each.models == each.method and each.method in study.sizes]
    if not study.compressed or not shown:
        return None
    written = all(study.sizes[each.method].decode_tokens_a_second is not None for each in shown)
    verb = "write" if written else "read"
    axes_of: list[tuple[str, Callable[[Size], float]]] = [
        ("megabytes on disk", lambda size: size.bytes_on_disk / 1e6),
        (f"milliseconds to {verb} a token", _milliseconds),
    ]
    parents = {study.ranked[0].method, *(each.parent for each in study.compressed)}
    named = [each for each in shown if each.parent or each.is_reference or each.method in parents]
    with style() as Figure:
        height = max(2.8, 0.17 * len(named) + 0.8)
        figure = Figure(figsize=(1.15 * WIDTH, height), layout="constrained")
        for index, (title, measure) in enumerate(axes_of):
            axes = figure.add_subplot(1, len(axes_of), index + 1)
            places = {each.method: measure(study.sizes[each.method]) for each in shown}
            log_scale(axes, "x")
            for experiment in shown:
                metric, place = experiment.metric(study.primary), places[experiment.method]
                if experiment not in named:
                    axes.plot(place, metric.mean, ".", color=REFERENCE, alpha=0.6)
                    continue
                fill, colour = "none" if experiment.parent else "full", colour_of(study, experiment)
                draw_interval(axes, place, metric.ci95, colour, upright=True)
                axes.plot(place, metric.mean, "o", color=colour, fillstyle=fill)
            best = _undominated(study, shown, places)
            line = [(places[each.method], each.mean(study.primary)) for each in best]
            axes.plot(*zip(*line, strict=True), color=INK, alpha=0.35, linewidth=1, zorder=0)
            axes.set(xlabel=title, ylabel=study.metric_title(study.primary) if not index else "")
            if index == len(axes_of) - 1:
                points = [(places[each.method], each.mean(study.primary), each) for each in named]
                name_at_the_right(axes, [(x, y, each.title, colour_of(study, each)) for x, y, each in points])
        return svg(figure)


def _undominated(study: Study, shown: list[Experiment], places: dict[str, float]) -> list[Experiment]:
    """Students that are better than all with less, in the order of their places."""
    students = [each for each in shown if each.method != TEACHER_NAME]
    sign = -1 if study.lower_is_better else 1
    found: list[Experiment] = []
    for each in sorted(students, key=lambda each: (places[each.method], -sign * each.mean(study.primary))):
        if not found or sign * each.mean(study.primary) > sign * found[-1].mean(study.primary):
            found.append(each)
    return found
