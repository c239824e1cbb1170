"""Runs that rank labels: their metrics, and what else is said of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.evaluation import classification
from pipestill.evaluation.predictions import (
    Calibration,
    Predictions,
    calibrated_scores,
    read_calibration,
    read_predictions,
)
from pipestill.evaluation.runs import Run, check_same_examples, find_runs
from pipestill.evaluation.statistics import Metric
from pipestill.inference.calibration import confusion_matrix, log_posterior


@dataclass(frozen=True)
class LabelRun(Run):
    """A run that ranks labels."""

    predictions: Predictions
    calibration: Calibration

    def truth(self) -> list[str]:
        """The gold labels."""
        return [self.predictions.labels[index] for index in self.predictions.gold]

    def entry(self) -> dict[str, Any]:
        """Metrics, those of each class and calibration, and how far the probabilities can be trusted."""
        predictions, labels = self.predictions, self.predictions.labels
        confusion = confusion_matrix(predictions.gold, predictions.predicted, len(labels))
        probabilities = np.exp(log_posterior(calibrated_scores(predictions, self.calibration)))
        confidence = probabilities[np.arange(len(self.ids)), predictions.predicted]
        return {
            "n_test": len(self.ids),
            "metrics": {name: metric.estimate() for name, metric in self.metrics.items()},
            "per_class": classification.per_class(confusion, labels),
            "confusion": {"labels": labels, "matrix": confusion.tolist()},
            "reliability": classification.reliability(confidence, predictions.gold == predictions.predicted),
            "collapsed": classification.collapsed(confusion, labels),
            "calibration": self.calibration.chosen,
            "calibrations": self._calibrations(),
        }

    def _calibrations(self) -> dict[str, dict[str, float]]:
        """Test metrics under every calibration, recomputed from the raw scores."""
        gold, raw = self.predictions.gold, self.predictions.raw_scores
        table = {}
        for name, prior in self.calibration.priors.items():
            scores = raw - prior
            predicted = self.predictions.predicted if name == self.calibration.chosen else scores.argmax(axis=1)
            measured = classification.metrics(gold, predicted, scores)
            table[name] = {metric: value.estimate() for metric, value in measured.items()}
        return table

    def scores(self) -> Iterator[dict[str, Any]]:
        """Accuracy, NLL, Brier score and label mass of each example."""
        means = {name: metric.statistics[:, 0] for name, metric in self.metrics.items() if metric.is_mean}
        for index, example in enumerate(self.ids):
            yield {"id": example, **{name: float(values[index]) for name, values in means.items()}}


def load_label_runs(directory: Path, labels: list[str]) -> dict[int, LabelRun]:
    """The runs of an experiment by seed, from ``directory/seed_<n>/``.

    Raises:
        UserError: there is no run, a file of one is missing or broken, or the runs were tested on different examples.
    """
    runs = {seed: _load_run(path, labels) for seed, path in find_runs(directory).items()}
    check_same_examples(list(runs.values()))
    return runs


def _load_run(directory: Path, labels: list[str]) -> LabelRun:
    predictions = read_predictions(directory / "predictions.jsonl", labels)
    calibration = read_calibration(directory / "calibration.json", labels)
    metrics = classification.metrics(
        predictions.gold, predictions.predicted, calibrated_scores(predictions, calibration)
    )
    metrics["label_mass"] = Metric.mean_of(predictions.label_mass)
    return LabelRun(predictions.path, predictions.ids, metrics, predictions, calibration)
