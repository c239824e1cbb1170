"""Pieces of model cards: the parts that a kind of answers adds, and tables in Markdown."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.formats import bracket, number
from pipestill.metrics.catalogue import entry_of, metric_title
from pipestill.tasks import task_of

SPREADS = {"sd": "sd over seeds", "training_sd": "sd of training", "sampling_sd": "sd of sampling"}


@dataclass(frozen=True)
class Card:
    """The parts of a model card that a kind of answers knows.

    Attributes:
        facts: rows of the first table, what and value.
        results: paragraphs on the test results.
        limits: sentences on what numbers do not say.
    """

    facts: list[tuple[str, str]]
    results: list[str]
    limits: list[str]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def metrics_table(evaluation: Evaluation, without: Collection[str] = ()) -> str:
    """Mean, interval and spread of every metric but those ``without``."""
    languages = task_of(evaluation).languages
    summaries = {name: summary for name, summary in evaluation.metrics.items() if name not in without}
    spreads = {
        key: title
        for key, title in SPREADS.items()
        if key == "sd" or any(getattr(summary, key) is not None for summary in summaries.values())
    }
    rows = []
    for name, summary in summaries.items():
        places = entry_of(name).decimals
        cells = [number(summary.mean, places), bracket(summary.ci95, places)]
        rows.append(
            [metric_title(name, languages), *cells, *(number(getattr(summary, key), places) for key in spreads)]
        )
    return table(["metric", "mean", "95 % interval", *spreads.values()], rows)
