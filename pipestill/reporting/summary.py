"""The summary tables as CSV (every number), Markdown and LaTeX (mean and interval), with what is recommended."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipestill.evaluation.evaluation import AnnotationCost, Summary
from pipestill.evaluation.formats import TOO_FEW, bracket, count, megabytes, number, seconds
from pipestill.io.files import atomic_path, write_text
from pipestill.metrics.catalogue import entry_of
from pipestill.reporting.findings import Findings
from pipestill.reporting.overview import overview, recommendation
from pipestill.reporting.study import Experiment, Study

COSTS = {"wall_s": 1, "cpu_s": 1, "peak_memory_mb": 0, "gpu_memory_mb": 0, "tokens": 0}  # decimals of each
FACTS = ("study", "experiment", "task", "method", "student", "teacher", "source", "n_train", "n_test")
SPREADS = ("sd", "training_sd", "sampling_sd")
QUERY = {"prompt_tokens": 1, "read_tokens": 1, "written_tokens": 1, "ms": 2, "cache_bytes": 0}  # decimals of each
ANNOTATION = ("calls", "input_tokens", "output_tokens", "train_cpu_s")
OPTIONAL = ("_training_sd", "_sampling_sd", "money_usd", *(f"annotation_{key}" for key in ANNOTATION))  # columns
OPTIONAL += tuple(f"query_{key}" for key in QUERY)
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$", "–": "--",
}  # fmt: skip


def metric_names(studies: Sequence[Study]) -> list[str]:
    """Names of all metrics, the primary ones first."""
    return list(dict.fromkeys([*(study.primary for study in studies), *(n for s in studies for n in s.metric_names)]))


def _metric_cells(metric: Summary | None, name: str) -> dict[str, str]:
    low, high = (metric and metric.ci95) or (None, None)
    values = {name: metric and metric.mean, **{f"{name}_{key}": metric and getattr(metric, key) for key in SPREADS}}
    values |= {f"{name}_ci95_low": low, f"{name}_ci95_high": high}
    return {column: "" if value is None else f"{value:.6f}" for column, value in values.items()}


def _annotation_cells(annotation: AnnotationCost | None) -> dict[str, Any]:
    if annotation is None:
        return {f"annotation_{key}": "" for key in ANNOTATION}
    tokens, cpu_s = annotation.tokens, annotation.training and annotation.training.cpu_s
    values = (annotation.calls["total"], tokens["input"], tokens["output"], cpu_s)
    return {f"annotation_{key}": value for key, value in zip(ANNOTATION, values, strict=True)}


def summary_row(experiment: Experiment, names: Sequence[str]) -> dict[str, Any]:
    """The row of ``summary.csv``; what was not measured is empty."""
    evaluation, cost = experiment.evaluation, experiment.evaluation.cost
    row = {key: getattr(evaluation, key) for key in FACTS}
    row["seeds"] = " ".join(map(str, evaluation.seeds))
    row["primary_metric"] = evaluation.primary_metric
    for name in names:
        row |= _metric_cells(evaluation.metrics.get(name), name)
    for stage in ("train", "teacher", "predict"):
        spent = getattr(cost, stage)
        for key, places in COSTS.items():
            value = spent and getattr(spent, key)
            row[f"{stage}_{key}"] = "" if value is None else f"{value:.{places}f}"
    for key, places in QUERY.items():
        row[f"query_{key}"] = f"{getattr(cost.query, key):.{places}f}" if cost.query else ""
    row |= _annotation_cells(cost.annotation)
    row |= {key: getattr(cost, key) for key in ("trainable_parameters", "total_parameters", "money_usd")}
    return row | {"notes": " ".join(experiment.notes)}


def _recommended(findings: Findings, experiment: Experiment) -> str:
    """``yes`` or ``no``; why nothing is recommended where examples are too few."""
    found = findings.conclusion.recommended
    if found is None:
        return "" if findings.study.testable else TOO_FEW
    return "yes" if found.experiment is experiment else "no"


def write_csv(path: Path, findings: Sequence[Findings]) -> None:
    """One row an experiment; money, annotation, and what spread comes from, have columns where there is any."""
    names = metric_names([each.study for each in findings])
    rows = [
        summary_row(experiment, names) | {"recommended": _recommended(found, experiment)}
        for found in findings
        for experiment in found.study.experiments
    ]
    columns = [name for name in rows[0] if not name.endswith(OPTIONAL) or any(row[name] for row in rows)]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cells(study: Study, experiment: Experiment, escape: Callable[[str], str], bold: Callable[[str], str]) -> list[str]:
    """Method, seeds, metrics with intervals, processor time, memory and parameters trained, as text."""
    cells = [experiment.title, str(len(experiment.runs))]
    for name in study.columns:
        metric, places = experiment.metric(name), entry_of(name).decimals
        mean = escape(number(metric.mean, places))
        mean = bold(mean) if study.is_best(experiment, name) else mean
        cells.append(f"{mean} {escape(bracket(metric.ci95, places))}")
    cost, train = experiment.evaluation.cost, experiment.evaluation.cost.train
    spent = [
        seconds(train and train.cpu_s),
        megabytes(train and train.peak_memory_mb),
        count(cost.trainable_parameters),
    ]
    return [*map(escape, cells[:2]), *cells[2:], *map(escape, spent)]


def _head(study: Study) -> list[str]:
    return [
        "method",
        "seeds",
        *map(study.metric_title, study.columns),
        "training CPU",
        "peak memory",
        "parameters trained",
    ]


def caption(study: Study) -> str:
    """The caption, which explains the table's numbers."""
    data = "synthetic data" if study.synthetic else f"data: {study.first.source}"
    return (
        f"{study.heading}, {data}, {study.first.n_test} test examples: mean over the seeds "
        "[95 % interval over seeds and examples]. Bold: the best student."
    )


def markdown(findings: Sequence[Findings]) -> str:
    """The table of all studies, then one table a study, its notes below it."""
    parts = ["\n".join(["## All studies", "", overview(findings).markdown()])]
    for found in findings:
        study = found.study
        rows = [_head(study), ["---"] + ["---:"] * (len(study.columns) + 4)]
        rows += [
            _cells(study, each, lambda cell: cell.replace("|", "\\|"), "**{}**".format) for each in study.experiments
        ]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        notes = [line for note in study.notes for line in ("", note)]
        said = ["", f"Recommended: {recommendation(found)}", ""]
        parts.append("\n".join([f"## {study.heading}", "", caption(study), *said, *lines, *notes]))
    return "\n\n".join(parts) + "\n"


def latex_escape(text: str) -> str:
    """``text`` with LaTeX's special characters made harmless."""
    return re.sub("|".join(map(re.escape, LATEX_ESCAPES)), lambda match: LATEX_ESCAPES[match[0]], text)


def latex(findings: Sequence[Findings]) -> str:
    r"""One ``booktabs`` table a study, to be ``\input`` in a document.

    Rules set base and teacher apart; what is recommended, and notes, stand below.
    """
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}."]
    for found in findings:
        study, below = found.study, [f"Recommended: {recommendation(found)}", *found.study.notes]
        columns = "ll" + "c" * len(study.columns) + "rrr"
        lines = [
            r"\begin{table}", r"\centering", rf"\caption{{{latex_escape(caption(study))}}}",
            rf"\label{{tab:{study.name}}}", r"\resizebox{\linewidth}{!}{%", rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(latex_escape, _head(study))) + r" \\", r"\midrule",
        ]  # fmt: skip
        before = None
        for experiment in study.experiments:
            if before is not None and (before.is_reference or experiment.is_reference):
                lines.append(r"\midrule")
            lines.append(" & ".join(_cells(study, experiment, latex_escape, r"\textbf{{{}}}".format)) + r" \\")
            before = experiment
        lines += [r"\bottomrule", r"\end{tabular}}"]
        lines += [rf"\par\smallskip{{\footnotesize {latex_escape(note)}\par}}" for note in below]
        lines.append(r"\end{table}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def write_summary(directory: Path, findings: Sequence[Findings]) -> None:
    """Write ``summary.csv``, ``summary.md`` and ``summary.tex``."""
    directory = Path(directory)
    write_csv(directory / "summary.csv", findings)
    write_text(directory / "summary.md", markdown(findings))
    write_text(directory / "summary.tex", latex(findings))
