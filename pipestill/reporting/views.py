"""What the page's templates are given of a study."""

import re
from collections.abc import Sequence
from typing import Any

from pipestill.reporting.closeness import closeness_rows, fidelity_rows, fidelity_sentence, measured_on
from pipestill.reporting.comparisons import Comparison, find
from pipestill.reporting.conclusions import conclusion, over_sft, over_sft_summary
from pipestill.reporting.figures import FIGURES
from pipestill.reporting.findings import Findings
from pipestill.reporting.gap import gap_closed
from pipestill.reporting.labels import calibration_rows, per_class_rows
from pipestill.reporting.rationales import rationale_rows, rationale_sentences
from pipestill.reporting.spread import spread_rows, spread_sentence
from pipestill.reporting.study import Study
from pipestill.reporting.summaries import bertscore_counts, extract_sentence, signatures
from pipestill.reporting.warnings import warnings

TURNED = {"better": "worse", "worse": "better", "open": "open"}


def anchor(text: str) -> str:
    """``text`` as an id of the page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def inline_svg(svg: str, prefix: str) -> str:
    """``svg`` as it stands in a page: no XML head, ids of its own, the size left to the style sheet."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    width, _ = (float(size) for size in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    head, body = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} style="width: {width * 4 / 3:.0f}px" aria-hidden="true">{body}'


def difference_matrix(study: Study, comparisons: Sequence[Comparison]) -> list[list[dict[str, Any] | None]]:
    """Row method minus column method, with the comparison and which way it speaks; ``None`` on the diagonal."""
    matrix = []
    for row in study.experiments:
        cells: list[dict[str, Any] | None] = []
        for column in study.experiments:
            if row is column:
                cells.append(None)
                continue
            comparison = find(comparisons, row, column)
            turned = comparison.a is not row
            value = -comparison.difference if turned else comparison.difference
            verdict = TURNED[comparison.verdict] if turned else comparison.verdict
            cells.append({"value": value, "verdict": verdict, "sentence": comparison.sentence()})
        matrix.append(cells)
    return matrix


def over_sft_rows(findings: Findings) -> list[dict[str, Any]]:
    """The planned comparisons, with the shares of the gaps to the teacher that each method closes."""
    gaps = {
        floor: {closed.experiment.method: closed for closed in gap_closed(findings.study, floor)}
        for floor in ("sft", "base")
    }
    return [
        {
            "comparison": comparison,
            "sentence": over_sft(comparison),
            **{floor: closed.get(comparison.a.method) for floor, closed in gaps.items()},
        }
        for comparison in findings.over_sft
    ]


def study_view(findings: Findings) -> dict[str, Any]:
    """Everything that the templates say about one study."""
    study = findings.study
    labelled = [] if study.of_text else study.experiments
    return {
        "study": study,
        "id": anchor(study.name),
        "first": study.experiments[0].evaluation,
        "student_model": next((e.evaluation["student"] for e in study.experiments if e.evaluation["student"]), None),
        "teacher_model": next((e.evaluation["teacher"] for e in study.experiments if e.evaluation["teacher"]), None),
        "conclusion": conclusion(study, findings.pairs),
        "warnings": warnings(study, findings.pairs, findings.fidelity),
        "tables": study.tables,
        "signatures": signatures(study),
        "counts": list(filter(None, [extract_sentence(study), bertscore_counts(study)])),
        "rationales": rationale_rows(study),
        "rationale_sentences": rationale_sentences(study),
        "on_gpu": any((e.evaluation["cost"]["train"] or {}).get("gpu_memory_mb") for e in study.experiments),
        "best": {name: study.best(name) for table in study.tables for name in table.names},
        "comparisons": findings.pairs,
        "matrix": difference_matrix(study, findings.pairs),
        "over_sft": over_sft_rows(findings),
        "over_sft_summary": over_sft_summary(study, findings.over_sft),
        "spread": spread_rows(study),
        "spread_sentence": spread_sentence(study),
        "closeness": closeness_rows(study),
        "measured_on": measured_on(study),
        "fidelity": findings.fidelity,
        "fidelity_sentence": fidelity_sentence(findings.fidelity) if findings.fidelity else None,
        "fidelity_rows": fidelity_rows(findings.fidelity) if findings.fidelity else [],
        "calibrations": [(experiment, calibration_rows(experiment, study.primary)) for experiment in labelled],
        "per_class": [(experiment, per_class_rows(experiment)) for experiment in labelled],
        "figures": {
            name: {"svg": inline_svg(svg, f"{anchor(study.name)}-{name}"), "caption": FIGURES[name][1]}
            for name, svg in findings.figures.items()
        },
    }
