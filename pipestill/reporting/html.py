"""The report: one HTML file that needs nothing else, for light and dark, wide and narrow screens."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.evaluation import formats
from pipestill.io.files import sha256, write_text
from pipestill.reporting.findings import Findings
from pipestill.reporting.labels import CALIBRATION_METRICS
from pipestill.reporting.views import anchor, study_view


def render(findings: Sequence[Findings], config: Path) -> str:
    """The page.

    Args:
        findings: of the studies, in the order of the page.
        config: the configuration of the run, shown as it is.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipestill.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = anchor
    environment.globals["f"] = formats
    studies = [each.study for each in findings]
    return environment.get_template("index.html.j2").render(
        views=[study_view(each) for each in findings],
        synthetic=[study.name for study in studies if study.synthetic],
        any_text=any(study.of_text for study in studies),
        any_bertscore=any("bertscore" in name for study in studies for name in study.columns),
        any_documents=any(study.of_documents for study in studies),
        any_labels=any(not study.of_text for study in studies),
        calibration_metrics=CALIBRATION_METRICS,
        config_name=Path(config).name,
        config_sha256=sha256(config),
        config_text=Path(config).read_text(encoding="utf-8"),
    )


def write_page(path: Path, findings: Sequence[Findings], config: Path) -> None:
    """Write the page that :func:`render` makes."""
    write_text(path, render(findings, config))
