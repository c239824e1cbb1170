"""The report: one HTML file that needs nothing else, for light and dark, wide and narrow screens."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipestill.evaluation import formats
from pipestill.evaluation.formats import LOWER_IS_BETTER
from pipestill.files import sha256, write_text
from pipestill.reporting.collect import Experiment, Study
from pipestill.reporting.comparisons import Comparison, find
from pipestill.reporting.conclusions import conclusion, warnings
from pipestill.reporting.figures import FIGURES
from pipestill.reporting.summary import metric_names

CALIBRATION_METRICS = ("macro_f1", "accuracy", "nll", "brier", "ece")


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


def best_methods(study: Study, names: Sequence[str]) -> dict[str, str]:
    """Which trained student has the best mean of each metric; label mass is no merit of its own."""
    students = [experiment for experiment in study.experiments if not experiment.is_reference]
    best = {}
    for name in names:
        if name != "label_mass" and len(students) > 1:
            pick = min if name in LOWER_IS_BETTER else max
            best[name] = pick(students, key=lambda experiment: experiment.mean(name)).method
    return best


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
            value = comparison.difference if comparison.a is row else -comparison.difference
            verdict = ("better" if comparison.better is row else "worse") if comparison.significant else "open"
            cells.append({"value": value, "verdict": verdict, "sentence": comparison.sentence()})
        matrix.append(cells)
    return matrix


def calibration_rows(experiment: Experiment, primary: str) -> list[dict[str, Any]]:
    """Test metrics under every calibration, averaged over the runs, and how many runs chose it on validation."""
    contents = experiment.evaluation["runs"]
    rows = []
    for name in contents[0]["calibrations"]:
        validation = [run.calibration.validation.get(name, {}).get(primary) for run in experiment.runs.values()]
        known = [value for value in validation if value is not None]
        rows.append(
            {
                "name": name,
                "chosen": sum(content["calibration"] == name for content in contents),
                "runs": len(contents),
                "validation": sum(known) / len(known) if known else None,
                "metrics": [
                    sum(content["calibrations"][name][metric] for content in contents) / len(contents)
                    for metric in CALIBRATION_METRICS
                ],
            }
        )
    return rows


def per_class_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Precision, recall and F1 by label, averaged over the runs."""
    tables = [content["per_class"] for content in experiment.evaluation["runs"]]
    return [
        {
            "label": label,
            "support": tables[0][label]["support"],
            **{key: sum(table[label][key] for table in tables) / len(tables) for key in ("precision", "recall", "f1")},
        }
        for label in tables[0]
    ]


def study_view(study: Study, comparisons: Sequence[Comparison], figures: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the template says about one study."""
    names = metric_names([study])
    return {
        "study": study,
        "id": anchor(study.name),
        "first": study.experiments[0].evaluation,
        "teacher_model": next((e.evaluation["teacher"] for e in study.experiments if e.evaluation["teacher"]), None),
        "conclusion": conclusion(study, comparisons),
        "warnings": warnings(study),
        "names": names,
        "on_gpu": any((e.evaluation["cost"]["train"] or {}).get("gpu_memory_mb") for e in study.experiments),
        "best": best_methods(study, names),
        "comparisons": comparisons,
        "matrix": difference_matrix(study, comparisons),
        "calibrations": [(e, calibration_rows(e, study.primary)) for e in study.experiments],
        "per_class": [(e, per_class_rows(e)) for e in study.experiments],
        "figures": {
            name: {"svg": inline_svg(svg, f"{anchor(study.name)}-{name}"), "caption": FIGURES[name][1]}
            for name, svg in figures.items()
        },
    }


def render(
    studies: Sequence[Study],
    comparisons: Mapping[str, Sequence[Comparison]],
    figures: Mapping[str, Mapping[str, str]],
    config: Path,
) -> str:
    """The page.

    Args:
        studies: in the order of the page.
        comparisons: by study.
        figures: SVG by study and figure name.
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
    return environment.get_template("index.html.j2").render(
        views=[study_view(study, comparisons[study.name], figures[study.name]) for study in studies],
        synthetic=[study.name for study in studies if study.synthetic],
        calibration_metrics=CALIBRATION_METRICS,
        f=formats,
        config_name=Path(config).name,
        config_sha256=sha256(config),
        config_text=Path(config).read_text(encoding="utf-8"),
    )


def write_page(path: Path, *args: Any) -> None:
    """Write the page that :func:`render` makes."""
    write_text(path, render(*args))
