"""The summary table as CSV (every number), Markdown and LaTeX (mean and interval)."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipestill.evaluation.formats import bracket, count, megabytes, metric_title, number, seconds
from pipestill.files import atomic_path, write_text
from pipestill.reporting.collect import Experiment, Study

COSTS = ("wall_s", "cpu_s", "peak_memory_mb", "gpu_memory_mb", "tokens")
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$", "–": "--",
}  # fmt: skip


def metric_names(studies: Sequence[Study]) -> list[str]:
    """Names of all metrics, the primary ones first."""
    names = [study.primary for study in studies]
    for study in studies:
        names += [name for experiment in study.experiments for name in experiment.evaluation["metrics"]]
    return list(dict.fromkeys(names))


def summary_row(experiment: Experiment, names: Sequence[str]) -> dict[str, Any]:
    """The row of ``summary.csv``."""
    evaluation = experiment.evaluation
    row = {key: evaluation[key] for key in ("study", "experiment", "task", "method", "student", "teacher", "source")}
    row |= {key: evaluation[key] for key in ("n_train", "n_test")}
    row["seeds"] = " ".join(map(str, evaluation["seeds"]))
    row["primary_metric"] = evaluation["primary_metric"]
    for name in names:
        metric = evaluation["metrics"].get(name)
        low, high = metric["ci95"] if metric else (None, None)
        parts = {"": metric and metric["mean"], "_sd": metric and metric["sd"], "_ci95_low": low, "_ci95_high": high}
        row |= {name + end: "" if value is None else f"{value:.6f}" for end, value in parts.items()}
    for stage in ("train", "predict"):
        values = evaluation["cost"][stage] or {}
        row |= {f"{stage}_{key}": values.get(key) for key in COSTS}
    row |= {key: evaluation["cost"][key] for key in ("trainable_parameters", "total_parameters", "money_usd")}
    row["notes"] = " ".join(experiment.notes)
    return row


def write_csv(path: Path, studies: Sequence[Study]) -> None:
    """One row an experiment; what was not measured is empty."""
    names = metric_names(studies)
    rows = [summary_row(experiment, names) for study in studies for experiment in study.experiments]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cells(experiment: Experiment, names: Sequence[str]) -> list[str]:
    """Method, seeds, metrics with intervals, processor time, memory and parameters trained, as text."""
    metrics = [experiment.metric(name) for name in names]
    cost = experiment.evaluation["cost"]
    train = cost["train"] or {}
    return [
        experiment.title,
        str(len(experiment.runs)),
        *(f"{number(metric['mean'])} {bracket(metric['ci95'])}" for metric in metrics),
        seconds(train.get("cpu_s")),
        megabytes(train.get("peak_memory_mb")),
        count(cost["trainable_parameters"]),
    ]


def _head(names: Sequence[str]) -> list[str]:
    return ["method", "seeds", *map(metric_title, names), "training CPU", "peak memory", "parameters trained"]


def caption(study: Study) -> str:
    """What the table's numbers are."""
    evaluation = study.experiments[0].evaluation
    data = "synthetic data" if study.synthetic else f"data: {evaluation['source']}"
    return (
        f"{study.name} ({data}), {evaluation['n_test']} test examples: mean over the seeds "
        "[95 % interval over seeds and examples]."
    )


def markdown(studies: Sequence[Study]) -> str:
    """One table a study, its notes below it."""
    parts = []
    for study in studies:
        names = metric_names([study])
        rows = [_head(names), ["---"] + ["---:"] * (len(names) + 4)]
        rows += [_cells(experiment, names) for experiment in study.experiments]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        notes = [line for note in study.notes for line in ("", note)]
        parts.append("\n".join([f"## {study.name}", "", caption(study), "", *lines, *notes]))
    return "\n\n".join(parts) + "\n"


def latex_escape(text: str) -> str:
    """``text`` with LaTeX's special characters made harmless."""
    return re.sub("|".join(map(re.escape, LATEX_ESCAPES)), lambda match: LATEX_ESCAPES[match[0]], text)


def latex(studies: Sequence[Study]) -> str:
    r"""One ``booktabs`` table a study, to be ``\input`` in a document.

    Rules set base and teacher apart; notes stand below.
    """
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}."]
    for study in studies:
        names = metric_names([study])
        columns = "ll" + "c" * len(names) + "rrr"
        lines = [
            r"\begin{table}", r"\centering", rf"\caption{{{latex_escape(caption(study))}}}",
            rf"\label{{tab:{study.name}}}", r"\resizebox{\linewidth}{!}{%", rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(latex_escape, _head(names))) + r" \\", r"\midrule",
        ]  # fmt: skip
        before = None
        for experiment in study.experiments:
            if before is not None and (before.is_reference or experiment.is_reference):
                lines.append(r"\midrule")
            lines.append(" & ".join(map(latex_escape, _cells(experiment, names))) + r" \\")
            before = experiment
        lines += [r"\bottomrule", r"\end{tabular}}"]
        lines += [rf"\par\smallskip{{\footnotesize {latex_escape(note)}\par}}" for note in study.notes]
        lines.append(r"\end{table}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def write_summary(directory: Path, studies: Sequence[Study]) -> None:
    """Write ``summary.csv``, ``summary.md`` and ``summary.tex``."""
    directory = Path(directory)
    write_csv(directory / "summary.csv", studies)
    write_text(directory / "summary.md", markdown(studies))
    write_text(directory / "summary.tex", latex(studies))
