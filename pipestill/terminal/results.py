"""Results in a line each, and in a table."""

import csv
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from pipestill.evaluation.evaluation import Evaluation, read_evaluation
from pipestill.evaluation.formats import number
from pipestill.metrics.catalogue import entry_of, metric_title

WIDTHS = (18, 22)  # of the study and the method


def line(evaluation: Evaluation) -> str:
    """``creditmix         SFT                   macro F1 0.812 [0.790, 0.833]``."""
    name = evaluation.primary_metric
    return (
        f"{evaluation.study:<{WIDTHS[0]}}{evaluation.method_title:<{WIDTHS[1]}}{metric_title(name)} "
        f"{scored(evaluation)}"
    )


def scored(evaluation: Evaluation) -> str:
    """Mean and 95 % interval of the primary metric."""
    metric, places = evaluation.metrics[evaluation.primary_metric], entry_of(evaluation.primary_metric).decimals
    if metric.ci95 is None:
        return number(metric.mean, places)
    return f"{number(metric.mean, places)} [{number(metric.ci95[0], places)}, {number(metric.ci95[1], places)}]"


def table(summary: Path) -> list[str]:
    """Lines of a table: each study of a report's ``summary.csv``, with its methods from the best one down, and what is
    recommended.

    Raises:
        UserError: an evaluation is missing or broken.
    """
    with open(summary, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = []
    for study, members in groupby(rows, key=itemgetter("study")):
        found = [(read_evaluation(summary.parents[1] / row["experiment"] / "eval.json"), row) for row in members]
        name = found[0][0].primary_metric
        sign = 1 if entry_of(name).lower_is_better else -1
        found.sort(key=lambda each: sign * each[0].metrics[name].mean)
        lines.append(f"{study} ({metric_title(name)})")
        for evaluation, row in found:
            note = "  recommended" if row["recommended"] == "yes" else ""
            lines.append(f"  {evaluation.method_title:<{WIDTHS[1]}}{scored(evaluation)}{note}")
    return lines
