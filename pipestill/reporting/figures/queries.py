"""Figure of quality against the length of a query's prompt."""

from collections import defaultdict

from pipestill.reporting.figures.canvas import (
    WIDTH,
    colour_of,
    draw_interval,
    log_scale,
    name_at_the_right,
    style,
    svg,
)
from pipestill.reporting.study import Experiment, Study

FAR = 4  # times the shortest prompt: from here on the axis is logarithmic
APART = 0.02  # of the axis between methods of the same length


def queries(study: Study) -> str | None:
    """The primary metric against the tokens of a prompt; nothing where all methods ask with prompts of one length."""
    by_length: dict[int, list[Experiment]] = defaultdict(list)
    for experiment in study.experiments:
        if asked := experiment.evaluation.cost.query:
            by_length[round(asked.prompt_tokens)].append(experiment)
    if len(by_length) < 2:
        return None
    n, shortest, longest = sum(map(len, by_length.values())), min(by_length), max(by_length)
    with style() as Figure:
        figure = Figure(figsize=(WIDTH * 0.75, max(3.0, 0.19 * n + 1)), layout="constrained")
        axes, named, is_far = figure.add_subplot(), [], longest >= FAR * shortest
        if is_far:
            log_scale(axes, "x")
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
