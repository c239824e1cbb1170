"""Figure of in-context learning: the primary metric by the number of demonstrations."""

from pipestill.reporting.figures.canvas import COLOURS, WIDTH, draw_curve, name_at_the_right, style, svg
from pipestill.reporting.study import Study

ASIDE = 0.06  # demonstrations between two prompts, so that their intervals stand side by side


def context_curve(study: Study) -> str | None:
    """A line a prompt, with the interval of each point; none where the study has no curve."""
    if not study.curve:
        return None
    with style() as Figure:
        figure = Figure(figsize=(WIDTH * 0.75, 3.2), layout="constrained")
        axes, named = figure.add_subplot(), []
        for number, (prompt, points) in enumerate(study.curve.items()):
            colour = COLOURS[number % len(COLOURS)]
            x = [point.shots + ASIDE * (number - (len(study.curve) - 1) / 2) for point in points]
            last = draw_curve(axes, study.primary, x, [point.experiment for point in points], colour)
            named.append((*last, prompt, colour))
        axes.set_xticks(sorted({point.shots for points in study.curve.values() for point in points}))
        axes.set(xlabel="demonstrations", ylabel=study.metric_title(study.primary))
        axes.set_title(f"{study.title or study.name}: mean over the draws, with its 95 % interval")
        name_at_the_right(axes, named)
        return svg(figure)
