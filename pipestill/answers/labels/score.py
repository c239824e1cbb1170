"""Runs that rank labels: their metrics, and what else is said of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipestill.answers.labels import classification, subsets
from pipestill.answers.labels.calibration import confusion_matrix, log_posterior
from pipestill.answers.labels.predictions import (
    Calibration,
    Predictions,
    calibrated_scores,
    read_calibration,
    read_predictions,
)
from pipestill.evaluation.membership import Membership
from pipestill.evaluation.metric import Metric, Metrics
from pipestill.evaluation.runs import Run, check_same_examples
from pipestill.io.records import Json
from pipestill.io.runs import find_runs
from pipestill.io.sequences import Named
from pipestill.metrics.catalogue import entry_of
from pipestill.settings.evaluation import Experiment
from pipestill.tasks.base import Task

MEANS = ("accuracy", "vocabulary_accuracy", "nll", "brier", "label_mass")  # over examples


@dataclass(frozen=True)
class LabelRun(Run):
    """A run that ranks labels."""

    predictions: Predictions
    calibration: Calibration

    def truth(self) -> Named:
        """The gold labels."""
        return Named(self.predictions.gold, self.predictions.labels)

    def correct(self) -> np.ndarray:
        """True where the gold label ranks first."""
        return self.predictions.gold == self.predictions.predicted

    def details(self) -> Json:
        """Metrics of each class and calibration, and how far the probabilities can be trusted."""
        predictions, labels = self.predictions, self.predictions.labels
        confusion = confusion_matrix(predictions.gold, predictions.predicted, len(labels))
        return {
            "per_class": classification.per_class(confusion, labels),
            "confusion": {"labels": list(labels), "matrix": confusion.tolist()},
            "reliability": classification.reliability(self._confidence(), self.correct()),
            "answered": list(self._answered()),
            "subsets": [part.row() for part in subsets.parts(predictions)],
            "calibration": self.calibration.chosen,
            "calibrations": self._calibrations(),
        }

    def _confidence(self) -> np.ndarray:
        """Probability of each predicted label, ``[examples]``."""
        probabilities = np.exp(log_posterior(calibrated_scores(self.predictions, self.calibration)))
        return probabilities[np.arange(len(self.ids)), self.predictions.predicted]

    def _answered(self) -> Iterator[Json]:
        """Labels that are predicted: for all examples, then for those of each test set."""
        gold, predicted, labels = self.predictions.gold, self.predictions.predicted, self.predictions.labels
        everything = np.ones(len(self.ids), dtype=bool)
        members = {name: self.test_sets.members(name) > 0 for name in self.test_sets.sizes}
        for name, own in {None: everything, **members}.items():
            confusion = confusion_matrix(gold[own], predicted[own], len(labels))
            yield {"test_set": name, **classification.answered(confusion, labels)}

    def _calibrations(self) -> dict[str, dict[str, float]]:
        """Test metrics under every calibration, recomputed from the raw scores."""
        gold, raw = self.predictions.gold, self.predictions.raw_scores
        table = {}
        for name, prior in self.calibration.priors.items():
            chosen = name == self.calibration.chosen
            predicted = self.predictions.predicted if chosen else (raw - prior).argmax(axis=1)
            found = classification.metrics(gold, predicted, raw, prior)
            table[name] = {metric: value.estimate() for metric, value in found.items()}
        return table

    def scores(self) -> Iterator[Json]:
        """Accuracy, over the labels and over the vocabulary, NLL, Brier score and label mass of each example."""
        means = {name: self.metrics[name].statistics[:, 0] for name in MEANS}
        for index, example in enumerate(self.ids):
            yield {"id": example, **{name: float(values[index]) for name, values in means.items()}}


def runs(task: Task, experiment: Experiment, predictions: Path, columns: Mapping[str, Path]) -> dict[int, LabelRun]:
    """The runs of an experiment by seed, from ``predictions/seed_<n>/``.

    Args:
        task: says which labels there are.
        experiment: names its test sets.
        predictions: directory of the predictions of all runs.
        columns: what other jobs measured of each answer; nothing is, of labels.

    Raises:
        UserError: there is no run, a file of one is missing or broken, or the runs were tested on different examples.
    """
    return _runs(task, experiment.test_sets, predictions)


def measured(task: Task, test_sets: Sequence[str], directory: Path) -> dict[int, LabelRun]:
    """The runs of an evaluated experiment by seed, from ``predictions`` in its directory.

    Args:
        task: of the experiment.
        test_sets: that it was tested on, in order.
        directory: of the experiment.

    Raises:
        UserError: as :func:`runs`.
    """
    return _runs(task, test_sets, Path(directory) / "predictions")


def metrics_by_test_set(metrics: Metrics, test_sets: Membership) -> Metrics:
    """Metrics of all examples, and of those of each test set; examples are resampled within their test set."""
    if not test_sets.sizes:
        return metrics

    def of_all(name: str) -> Metric:
        return metrics[name].over(np.ones(len(test_sets.of_examples)), test_sets.strata)

    def of_one(name: str, test_set: str) -> Metric:
        return metrics[name].over(test_sets.members(test_set), test_sets.strata)

    found = {}
    for name in metrics:
        found[name] = partial(of_all, name)
        for test_set in test_sets.sizes if entry_of(name).per_test_set else ():
            found[f"{name}/{test_set}"] = partial(of_one, name, test_set)
    return Metrics(found)


def _runs(task: Task, test_sets: Sequence[str], predictions: Path) -> dict[int, LabelRun]:
    found = {seed: _run(path, task.answers.labels, test_sets) for seed, path in find_runs(predictions).items()}
    check_same_examples(found.values())
    return found


def _run(directory: Path, labels: Sequence[str], test_sets: Sequence[str]) -> LabelRun:
    predictions = read_predictions(directory / "predictions.jsonl", labels, test_sets)
    calibration = read_calibration(directory / "calibration.json", labels)
    calibrated_scores(predictions, calibration)  # refuses a file of another run
    n, membership = len(predictions.ids), Membership(predictions.test_sets)
    gold, predicted, raw = predictions.gold, predictions.predicted, predictions.raw_scores

    def vocabulary_accuracy() -> Metric:
        return Metric.mean_of(predictions.greedy[np.arange(n), gold])

    more = {"vocabulary_accuracy": vocabulary_accuracy, "label_mass": lambda: Metric.mean_of(predictions.label_mass)}
    metrics = Metrics(
        classification.metrics(gold, predicted, raw, calibration.priors[calibration.chosen]).makers | more
    )
    of_parts = subsets.metrics(predictions, membership.strata)
    own = Metrics(metrics_by_test_set(metrics, membership).makers | of_parts)
    return LabelRun(predictions.path, predictions.ids, own, membership, predictions, calibration)
