"""The whole report directory."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.files import write_text
from pipestill.reporting.collect import collect
from pipestill.reporting.comparisons import compare, write_comparisons
from pipestill.reporting.figures import draw
from pipestill.reporting.html import write_page
from pipestill.reporting.summary import write_summary


def write_report(evaluations: Sequence[Path], config: Path, directory: Path) -> None:
    """Write ``summary.{csv,md,tex}``, ``comparisons.csv``, ``figures/*.svg`` and ``index.html`` into ``directory``.

    Raises:
        UserError: an evaluation, or the predictions beside it, are missing or broken.
    """
    directory = Path(directory)
    studies = collect(evaluations)
    comparisons = {study.name: compare(study) for study in studies}
    figures = {study.name: draw(study) for study in studies}
    write_summary(directory, studies)
    write_comparisons(directory / "comparisons.csv", [c for found in comparisons.values() for c in found])
    for study, drawn in figures.items():
        for name, svg in drawn.items():
            write_text(directory / "figures" / f"{name}_{study}.svg", svg)
    write_page(directory / "index.html", studies, comparisons, figures, config)
