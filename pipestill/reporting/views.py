"""View of a study for the page's templates."""

import re
from collections.abc import Sequence

from pipestill.io.records import Json
from pipestill.metrics.catalogue import entry_of
from pipestill.reporting.closeness import closeness_rows, measured_on
from pipestill.reporting.comparisons import AGAINST_BEST, AGAINST_SFT, FURTHER, Comparison, find
from pipestill.reporting.examples import Examples
from pipestill.reporting.figures import figures_of
from pipestill.reporting.findings import Findings
from pipestill.reporting.over_sft import over_sft_rows
from pipestill.reporting.overview import recommendation
from pipestill.reporting.rationales import rationales
from pipestill.reporting.study import Study
from pipestill.reporting.worth import worth_of

FAMILIES = {
    AGAINST_SFT: "trained methods against SFT, planned",
    AGAINST_BEST: "other students against the best",
    FURTHER: "further pairs",
}


def anchor(text: str) -> str:
    """``text`` as an id of the page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def inline_svg(svg: str, prefix: str) -> str:
    """``svg`` as it stands in a page: no XML head, ids of its own, the size left to the style sheet."""
    svg = svg[svg.index("<svg") :]
    referred = {*re.findall(r'href="#([^"]+)"', svg), *re.findall(r"url\(#([^)]+)\)", svg)}
    svg = re.sub(r' id="([^"]+)"', lambda own: f' id="{prefix}-{own[1]}"' if own[1] in referred else "", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    width, _ = (float(size) for size in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    head, body = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} style="width: {width * 4 / 3:.0f}px" aria-hidden="true">{body}'


def difference_matrix(study: Study, comparisons: Sequence[Comparison]) -> list[list[Comparison | None]]:
    """What the method of a row is above that of a column; ``None`` on the diagonal."""
    return [
        [None if row is column else find(comparisons, row, column) for column in study.compared]
        for row in study.compared
    ]


def families(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Comparisons by what they are corrected over, in words."""
    found: dict[str, list[Comparison]] = {}
    for each in comparisons:
        found.setdefault(FAMILIES[each.family], []).append(each)
    return found


def study_view(findings: Findings, examples: Examples) -> Json:
    """Everything that the templates say about one study, and the examples that its browser shows."""
    study, figures = findings.study, figures_of(findings.study)
    shown = [name for table in study.tables for name in table.names]
    panels = ((panel, panel.view(study)) for panel in study.show.PANELS)
    return {
        "study": study,
        "id": anchor(study.name),
        "student_model": next((e.evaluation.student for e in study.experiments if e.evaluation.student), None),
        "teacher_model": next((e.evaluation.teacher for e in study.experiments if e.evaluation.teacher), None),
        "conclusion": findings.conclusion,
        "recommendation": recommendation(findings),
        "examples": examples,
        "warnings": findings.warnings,
        "higher_is_better": all(entry_of(name).merit and not entry_of(name).lower_is_better for name in shown),
        "rationales": rationales(study),
        "on_gpu": any(
            cost.train and cost.train.gpu_memory_mb for cost in (e.evaluation.cost for e in study.experiments)
        ),
        "comparisons": findings.pairs,
        "families": families(findings.pairs),
        "matrix": difference_matrix(study, findings.pairs),
        "compression": findings.compression,
        "worth": worth_of(study),
        "over_sft": over_sft_rows(study, findings.over_sft),
        "closeness": closeness_rows(study),
        "measured_on": measured_on(study),
        "fidelity": findings.fidelity,
        "panels": [
            {"place": panel.place, "template": panel.template, "title": panel.title, "own": own}
            for panel, own in panels
            if own is not None
        ],
        "figures": {
            name: {"svg": inline_svg(svg, f"{anchor(study.name)}-{name}"), "caption": figures[name].caption}
            for name, svg in findings.figures.items()
        },
    }
