"""Results in a line each, and in a table."""

from collections.abc import Iterable, Mapping
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


def table(evaluations: Iterable[Path]) -> list[str]:
    """Lines of a table: each study, with its methods from the best one down; the teacher last."""
    by_study: Mapping[str, list[Evaluation]] = {}
    for path in evaluations:
        evaluation = read_evaluation(path)
        by_study.setdefault(evaluation.study, []).append(evaluation)
    lines = []
    for study, found in by_study.items():
        name = found[0].primary_metric
        entry = entry_of(name)
        found.sort(key=lambda each: each.metrics[name].mean * (1 if entry.lower_is_better else -1))
        lines.append(f"{study} ({metric_title(name)})")
        lines += [f"  {each.method_title:<{WIDTHS[1]}}{scored(each)}" for each in found]
    return lines
