"""The report: one HTML file that needs nothing else, for light and dark, wide and narrow screens."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipestill.evaluation import formats
from pipestill.io.files import sha256, write_text
from pipestill.metrics.catalogue import entry_of
from pipestill.reporting.findings import Findings
from pipestill.reporting.views import anchor, study_view


@cache
def templates() -> Environment:
    """The page's templates."""
    environment = Environment(
        loader=PackageLoader("pipestill.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = anchor
    environment.globals |= {"f": formats, "entry_of": entry_of}
    return environment


def render(findings: Sequence[Findings], config: Path) -> str:
    """The page.

    Args:
        findings: of the studies, in the order of the page.
        config: the configuration of the run, shown as it is.
    """
    studies = [each.study for each in findings]
    return (
        templates()
        .get_template("index.html.j2")
        .render(
            views=[study_view(each) for each in findings],
            synthetic=[study.name for study in studies if study.synthetic],
            measured=list(dict.fromkeys(study.show.MEASURED for study in studies)),
            shown={name for study in studies for table in study.tables for name in table.names},
            mcnemar=any(pair.mcnemar for each in findings for pair in each.pairs),
            config_name=Path(config).name,
            config_sha256=sha256(config),
            config_text=Path(config).read_text(encoding="utf-8"),
        )
    )


def write_page(path: Path, findings: Sequence[Findings], config: Path) -> None:
    """Write the page that :func:`render` makes."""
    write_text(path, render(findings, config))
