"""The whole report directory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipestill.io.files import write_text
from pipestill.reporting.collect import beyond, collect
from pipestill.reporting.comparisons import write_comparisons
from pipestill.reporting.compression import with_sizes
from pipestill.reporting.curves import Curves, with_curves
from pipestill.reporting.examples import examples_of
from pipestill.reporting.fidelity import read_fidelity
from pipestill.reporting.figures.overview import quality_and_cost
from pipestill.reporting.findings import findings
from pipestill.reporting.html import Page, write_page
from pipestill.reporting.overview import overview
from pipestill.reporting.summary import write_summary


@dataclass(frozen=True)
class Sources:
    """What a report is made from.

    Attributes:
        evaluations: ``eval.json`` of every experiment, beside its scores and predictions.
        config: the configuration of the run.
        records: cropped records that were answered, in a directory of the name of their task.
        fidelity: ``fidelity.json`` of the studies that have a cache of their teacher's distributions.
        titles: of the studies that have one.
        sizes: files of sizes and speeds of the models of studies that have compressed students.
        curves: of in-context learning, and of rows.
    """

    evaluations: Sequence[Path]
    config: Path
    records: Sequence[Path] = ()
    fidelity: Sequence[Path] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    sizes: Sequence[Path] = ()
    curves: Curves = field(default_factory=Curves)


def write_report(sources: Sources, directory: Path) -> list[Path]:
    """Write summary.{csv,md,tex}, comparisons.csv, figures and index.html into ``directory``.

    Args:
        sources: what it is made from.
        directory: what is written into.

    Returns:
        What it wrote: files, and the directory of the figures of each study.

    Raises:
        UserError: an evaluation, or what it was made from, is missing or broken.
    """
    directory, caches = Path(directory), read_fidelity(sources.fidelity)
    studies = collect(sources.evaluations, sources.titles)
    others = beyond(studies, sources.curves.evaluations)
    studies = with_curves(studies, sources.curves, others)
    studies = with_sizes(studies, sources.sizes)
    found = [findings(study, caches.get(study.name)) for study in studies]
    write_summary(directory, found)
    write_comparisons(directory / "comparisons.csv", [c for each in found for c in each.comparisons])
    for each in found:
        figures = directory / "figures" / each.study.name
        figures.mkdir(parents=True, exist_ok=True)
        for name, svg in each.figures.items():
            write_text(figures / f"{name}.svg", svg)
    table = overview(found)
    figure = quality_and_cost(found, table.columns)
    write_text(directory / "figures/overview.svg", figure)
    page = Page(found, table, figure, examples_of(studies, sources.records))
    write_page(directory / "index.html", page, sources.config)
    files = ("index.html", "summary.csv", "summary.md", "summary.tex", "comparisons.csv", "figures/overview.svg")
    return [directory / name for name in (*files, *(f"figures/{each.study.name}" for each in found))]
