"""Figure of quality against the length of a query's prompt."""

from collections import defaultdict
from collections.abc import Sequence

from pipestill.reporting.figures.canvas import (
    REFERENCE,
    WIDTH,
    colour_of,
    draw_interval,
    log_scale,
    name_at_the_right,
    style,
    svg,
)
from pipestill.reporting.study import CurvePoint, Experiment, Study

FAR = 4  # times the shortest prompt: from here on the axis is logarithmic
APART = 0.02  # of the axis between methods of the same length


def queries(study: Study) -> str | None:
    """The primary metric against the tokens of a prompt, and the curves of in-context learning as lines; nothing where
    all methods ask with prompts of one length."""
    by_length: dict[int, list[Experiment]] = defaultdict(list)
    for experiment in study.experiments:
        if asked := experiment.evaluation.cost.query:
            by_length[round(asked.prompt_tokens)].append(experiment)
    curves = {prompt: _places(study, points) for prompt, points in study.curve.items()}
    lengths = [*by_length, *(x for places in curves.values() for x, _ in places)]
    if len(set(map(round, lengths))) < 2:
        return None
    shortest, longest = min(lengths), max(lengths)
    is_far = longest >= FAR * shortest
    with style() as Figure:
        names = sum(map(len, by_length.values())) + len(curves)
        figure = Figure(figsize=(WIDTH * 0.75, max(3.0, 0.19 * names + 1)), layout="constrained")
        axes, named = figure.add_subplot(), []
        if is_far:
            log_scale(axes, "x")
        for prompt, places in curves.items():
            if places:
                axes.plot(*zip(*places, strict=True), ".-", color=REFERENCE, linewidth=1, alpha=0.6)
                named.append((*places[-1], f"demonstrations, {prompt}", REFERENCE))
        for length, experiments in by_length.items():
            for place, experiment in enumerate(experiments):
                aside = APART * (place - (len(experiments) - 1) / 2)
                x = length * (longest / shortest) ** aside if is_far else length + aside * (longest - shortest)
                metric, colour = experiment.metric(study.primary), colour_of(study, experiment)
                draw_interval(axes, x, metric.ci95, colour, upright=True)
                axes.plot(x, metric.mean, "o", color=colour)
                named.append((x, metric.mean, experiment.title, colour))
        axes.set(xlabel="tokens of the prompt of a query", ylabel=study.metric_title(study.primary))
        name_at_the_right(axes, named)
        return svg(figure)


def _places(study: Study, points: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    """Tokens of a prompt and the primary metric of each point of a curve."""
    asked = [(point.experiment.evaluation.cost.query, point.experiment.mean(study.primary)) for point in points]
    return [(query.prompt_tokens, mean) for query, mean in asked if query]
