"""One experiment's numbers: the metrics of each run, and their mean, spread and interval over the runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.evaluation import classification
from pipestill.evaluation.predictions import (
    Calibration,
    Predictions,
    calibrated_scores,
    read_calibration,
    read_predictions,
)
from pipestill.evaluation.statistics import Bootstrap, Metric, biased_interval, interval, replicates
from pipestill.inference.calibration import confusion_matrix, log_posterior
from pipestill.records import read_jsonl


@dataclass(frozen=True)
class Run:
    """One run on the test set: the ids of its examples, and metrics that line up with them."""

    path: Path
    ids: list[str]
    metrics: dict[str, Metric]
    predictions: Predictions
    calibration: Calibration


def load_runs(directory: Path, labels: list[str]) -> dict[int, Run]:
    """The runs of an experiment by seed, from ``directory/seed_<n>/``.

    Raises:
        UserError: there is no run, a file of one is missing or broken, or the runs were tested on different examples.
    """
    found = {int(path.name.removeprefix("seed_")): path for path in Path(directory).glob("seed_*")}
    if not found:
        raise UserError(f"{directory} holds no predictions (seed_<n>): predict again")
    runs = {seed: load_run(found[seed], labels) for seed in sorted(found)}
    check_same_examples(list(runs.values()))
    return runs


def load_run(directory: Path, labels: list[str]) -> Run:
    """Read and check the predictions of the run in ``directory``."""
    predictions = read_predictions(Path(directory) / "predictions.jsonl", labels)
    calibration = read_calibration(Path(directory) / "calibration.json", labels)
    scores = calibrated_scores(predictions, calibration)
    metrics = classification.metrics(predictions.gold, predictions.predicted, scores)
    metrics["label_mass"] = Metric.mean_of(predictions.label_mass)
    return Run(predictions.path, predictions.ids, metrics, predictions, calibration)


def read_histories(models: Sequence[Path], seeds: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Training log of each run: a model directory is ``.../seed_<n>/model``, or the only one of its experiment."""
    by_seed = {f"seed_{seed}": seed for seed in seeds}
    histories = {}
    for model in map(Path, models):
        seed = seeds[0] if len(models) == len(seeds) == 1 else by_seed.get(model.parent.name)
        if seed is None:
            raise UserError(
                f"{model} is not the model of any of the predicted runs (seeds {', '.join(map(str, seeds))})"
            )
        histories[seed] = read_jsonl(model / "history.jsonl")
    return histories


def check_same_examples(runs: Sequence[Run]) -> None:
    """Raise ``UserError`` unless all runs were tested on the same examples with the same gold labels."""
    first = runs[0]
    for run in runs[1:]:
        unshared = sorted(set(first.ids) ^ set(run.ids))
        if unshared:
            has, lacks = (first, run) if unshared[0] in set(first.ids) else (run, first)
            raise UserError(
                f"{has.path} has the test example {unshared[0]!r} and {lacks.path} has not "
                f"({len(unshared)} in all): both must come from the same records, so predict again"
            )
        differing = np.flatnonzero(first.predictions.gold != run.predictions.gold)
        if differing.size:
            raise UserError(
                f"{first.path} and {run.path} disagree on the gold label of {first.ids[differing[0]]!r}: predict again"
            )


def calibration_metrics(run: Run) -> dict[str, dict[str, float]]:
    """Test metrics under every calibration, recomputed from the raw scores."""
    gold, raw = run.predictions.gold, run.predictions.raw_scores
    table = {}
    for name, prior in run.calibration.priors.items():
        scores = raw - prior
        predicted = run.predictions.predicted if name == run.calibration.chosen else scores.argmax(axis=1)
        measured = classification.metrics(gold, predicted, scores)
        table[name] = {metric: value.estimate() for metric, value in measured.items()}
    return table


def run_metrics(run: Run) -> dict[str, Any]:
    """One entry of the ``runs`` of ``eval.json``."""
    predictions = run.predictions
    labels = predictions.labels
    confusion = confusion_matrix(predictions.gold, predictions.predicted, len(labels))
    probabilities = np.exp(log_posterior(calibrated_scores(predictions, run.calibration)))
    confidence = probabilities[np.arange(len(run.ids)), predictions.predicted]
    return {
        "n_test": len(run.ids),
        "metrics": {name: metric.estimate() for name, metric in run.metrics.items()},
        "per_class": classification.per_class(confusion, labels),
        "confusion": {"labels": labels, "matrix": confusion.tolist()},
        "reliability": classification.reliability(confidence, predictions.gold == predictions.predicted),
        "collapsed": classification.collapsed(confusion, labels),
        "calibration": run.calibration.chosen,
        "calibrations": calibration_metrics(run),
    }


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
        description: what the experiment is: experiment, study, task, method, student, teacher, source, notes,
            primary_metric.
        runs: by seed.
        bootstrap: how the intervals are made; the report compares methods in the same way.
        histories: training log by seed; a run that trained nothing has none.
    """
    keys = ("experiment", "study", "task", "method", "student", "teacher", "source", "notes")
    metrics = summarise([run.metrics for run in runs.values()], bootstrap)
    if description["primary_metric"] not in metrics:
        raise UserError(f"primary_metric {description['primary_metric']!r} is none of {', '.join(metrics)}")
    return {
        **{key: description[key] for key in keys},
        "n_test": len(next(iter(runs.values())).ids),
        "seeds": list(runs),
        "bootstrap": asdict(bootstrap),
        "primary_metric": description["primary_metric"],
        "metrics": metrics,
        "runs": [{"seed": seed, **run_metrics(run), "history": histories.get(seed, [])} for seed, run in runs.items()],
    }
