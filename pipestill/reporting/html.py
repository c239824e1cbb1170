"""The report: one HTML file that needs nothing else, for light and dark, wide and narrow screens."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipestill.evaluation import formats
from pipestill.io.files import sha256, write_text
from pipestill.metrics.catalogue import entry_of
from pipestill.reporting.examples import Examples
from pipestill.reporting.findings import Findings
from pipestill.reporting.overview import KEY, Overview
from pipestill.reporting.views import anchor, inline_svg, study_view

QUALITY_AND_COST = (
    "Quality against cost: each method of each study by the seconds (of processor time, where that is known) of one "
    "training and of what its teacher did for it, with its 95 % interval. A ring marks what is recommended, a "
    "hollow mark is a variant or a compressed student."
)
SCRIPTS = ("blocks.js", "report.js")  # one behind the other; the first one draws answers


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
    environment.globals |= {"f": formats, "entry_of": entry_of, "OVERVIEW_KEY": KEY}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes:
        findings: of the studies, in the order of the page.
        overview: the first table.
        figure: quality against cost, as SVG.
        examples: by study.
    """

    findings: Sequence[Findings]
    overview: Overview
    figure: str
    examples: Mapping[str, Examples]


def render(page: Page, config: Path) -> str:
    """The page as text.

    Args:
        page: what it shows.
        config: the configuration of the run, shown as it is.
    """
    studies = [each.study for each in page.findings]
    environment = templates()
    script = "\n".join(environment.loader.get_source(environment, name)[0] for name in SCRIPTS)
    return environment.get_template("index.html.j2").render(
        views=[study_view(each, page.examples[each.study.name]) for each in page.findings],
        overview=page.overview,
        overview_figure={"overview": {"svg": inline_svg(page.figure, "overview"), "caption": QUALITY_AND_COST}},
        script=script,
        script_digest=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        synthetic=[study.name for study in studies if study.synthetic],
        measured=list(dict.fromkeys(study.show.MEASURED for study in studies)),
        shown={name for study in studies for table in study.tables for name in table.names},
        mcnemar=any(pair.mcnemar for each in page.findings for pair in each.pairs),
        config_name=Path(config).name,
        config_sha256=sha256(config),
        config_text=Path(config).read_text(encoding="utf-8"),
    )


def write_page(path: Path, page: Page, config: Path) -> None:
    """Write the page that :func:`render` makes."""
    write_text(path, render(page, config))
