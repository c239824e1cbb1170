"""Shares of the way from the SFT student to the teacher that methods go."""

from pipestill.reporting.figures.canvas import INK, WIDTH, colour_of, draw_interval, name_rows, style, svg
from pipestill.reporting.gap import gap_closed
from pipestill.reporting.study import Study


def gap(study: Study) -> str | None:
    """Share of the gap that each method closes, with its interval; 0 is the SFT student and 1 the teacher."""
    shares = gap_closed(study, "sft")
    if not shares:
        return None
    with style() as Figure:
        from matplotlib.ticker import PercentFormatter

        figure = Figure(figsize=(WIDTH * 0.75, 0.26 * len(shares) + 0.9), layout="constrained")
        axes = figure.add_subplot()
        for place, name in ((0, "SFT"), (1, "Teacher")):
            axes.axvline(place, color=INK, alpha=0.5, linewidth=1, linestyle=(0, (3, 2)))
            axes.annotate(name, (place, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), ha="center",
                          textcoords="offset points")  # fmt: skip
        for row, share in enumerate(shares):
            colour = colour_of(study, share.experiment)
            draw_interval(axes, row, share.ci95, colour)
            axes.plot(share.share, row, "o", color=colour, markersize=6)
        name_rows(axes, [share.experiment.title for share in shares])
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("share of the gap that is closed")
        return svg(figure)
