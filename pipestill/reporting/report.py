"""The whole report directory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipestill.io.files import write_text
from pipestill.reporting.collect import collect
from pipestill.reporting.comparisons import write_comparisons
from pipestill.reporting.context_curve import Points, with_curves
from pipestill.reporting.fidelity import read_fidelity
from pipestill.reporting.findings import findings
from pipestill.reporting.html import write_page
from pipestill.reporting.summary import write_summary


@dataclass(frozen=True)
class Curves:
    """Curves of in-context learning.

    Attributes:
        points: of each study, see :mod:`pipestill.reporting.context_curve`.
        evaluations: ``eval.json`` of experiments beyond those of the studies.
    """

    points: Mapping[str, Points] = field(default_factory=dict)
    evaluations: Sequence[Path] = ()


def write_report(
    evaluations: Sequence[Path], fidelity: Sequence[Path], config: Path, directory: Path, curves: Curves | None = None
) -> list[Path]:
    """Write summary.{csv,md,tex}, comparisons.csv, figures/<study>/*.svg and index.html into ``directory``.

    Args:
        evaluations: ``eval.json`` of every experiment.
        fidelity: ``fidelity.json`` of the studies that have a cache of their teacher's distributions.
        config: the configuration of the run.
        directory: what is written into.
        curves: of in-context learning.

    Returns:
        What it wrote: files, and the directory of the figures of each study.

    Raises:
        UserError: an evaluation, or what it was made from, is missing or broken.
    """
    directory, caches = Path(directory), read_fidelity(fidelity)
    curves = curves or Curves()
    studies = with_curves(collect(evaluations), curves.points, curves.evaluations)
    found = [findings(study, caches.get(study.name)) for study in studies]
    write_summary(directory, [each.study for each in found])
    write_comparisons(directory / "comparisons.csv", [c for each in found for c in [*each.pairs, *each.over_sft]])
    for each in found:
        figures = directory / "figures" / each.study.name
        figures.mkdir(parents=True, exist_ok=True)
        for name, svg in each.figures.items():
            write_text(figures / f"{name}.svg", svg)
    write_page(directory / "index.html", found, config)
    files = ("index.html", "summary.csv", "summary.md", "summary.tex", "comparisons.csv")
    return [directory / name for name in (*files, *(f"figures/{each.study.name}" for each in found))]
