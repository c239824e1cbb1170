"""One experiment's numbers: the metrics of each run, and their mean, spread and interval over the runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.evaluation.bertscore import NOT_COMPUTED, add_scores
from pipestill.evaluation.labels import load_label_runs
from pipestill.evaluation.runs import Run
from pipestill.evaluation.statistics import Bootstrap, Metric, biased_interval, interval, replicates
from pipestill.evaluation.texts import TextRun, add_spread, load_text_runs, sizes_of_test_sets

DESCRIBED = (
    *("experiment", "study", "task", "method", "method_title", "method_summary"),
    *("student", "teacher", "source", "notes"),
)


def load_runs(description: Mapping[str, Any], predictions: Path, bertscore: Path | None = None) -> dict[int, Run]:
    """The runs of an experiment by seed.

    Args:
        description: ``labels`` that are ranked, or the names of ``test_sets`` of text, its kind of ``metrics``, and the
            ``splitter`` of its sentences.
        predictions: directory of the predictions of all runs.
        bertscore: file of BERTScores, where they were computed.

    Raises:
        UserError: there is no run, a file of one is missing or broken, or the runs were tested on different examples.
    """
    if description["labels"]:
        return load_label_runs(predictions, description["labels"])
    add = partial(add_scores, bertscore) if bertscore else None
    scored = description.get("metrics", "answers"), add, description.get("splitter", "sentencex")
    return load_text_runs(predictions, description["test_sets"], *scored)


def summarise(runs: Sequence[Mapping[str, Metric]], bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Mean, sample standard deviation over the runs (``None`` for one run) and 95 % interval of each metric."""
    samples = replicates(runs, bootstrap)
    summary = {}
    for name in runs[0]:
        values = [run[name].estimate() for run in runs]
        mean = float(np.mean(values))
        biased = runs[0][name].biased_up
        summary[name] = {
            "mean": mean,
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "ci95": list(biased_interval(samples[name], mean) if biased else interval(samples[name])),
            "per_seed": values,
        }
    return summary


def evaluate(
    description: Mapping[str, Any],
    runs: Mapping[int, Run],
    bootstrap: Bootstrap,
    histories: Mapping[int, list[dict[str, Any]]],
) -> dict[str, Any]:
    """The measured part of ``eval.json``.

    Args:
        description: what the experiment is: ``DESCRIBED``, ``primary_metric`` and, for text, ``settings.generation``.
        runs: by seed.
        bootstrap: how the intervals are made; the report compares methods in the same way.
        histories: training log by seed; a run that trained nothing has none.
    """
    metrics = summarise([run.metrics for run in runs.values()], bootstrap)
    if description["primary_metric"] not in metrics:
        raise UserError(f"primary_metric {description['primary_metric']!r} is none of {', '.join(metrics)}")
    first = next(iter(runs.values()))
    of_text = isinstance(first, TextRun)
    if of_text:
        add_spread(metrics, list(runs.values()))
    return {
        **{key: description[key] for key in DESCRIBED},
        "kind": "text" if of_text else "labels",
        "n_test": len(first.ids),
        "test_sets": sizes_of_test_sets(first) if of_text else {},
        "generation": description["settings"].get("generation") if of_text else None,
        "seeds": list(runs),
        "bootstrap": asdict(bootstrap),
        "primary_metric": description["primary_metric"],
        "metrics": metrics,
        "signatures": _signatures(first, description) if of_text else {},
        "runs": [{"seed": seed, **run.entry(), "history": histories.get(seed, [])} for seed, run in runs.items()],
    }


def _signatures(run: TextRun, description: Mapping[str, Any]) -> dict[str, Any]:
    """How metrics were computed that can be in several ways; what was not computed is said too."""
    absent = {"bertscore": NOT_COMPUTED} if description.get("metrics") == "summaries" else {}
    return {**absent, **run.signatures}


def score_rows(runs: Mapping[int, Run]) -> list[dict[str, Any]]:
    """The rows of ``scores.jsonl``: what each answer of each run contributes to the metrics that are means."""
    return [{"seed": seed, **row} for seed, run in runs.items() for row in run.scores()]
