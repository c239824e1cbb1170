"""Accuracy on parts of test sets, such as the heuristics of HANS, and on each gold label in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipestill.answers.labels.predictions import Predictions
from pipestill.evaluation.metric import Metric
from pipestill.io.records import Json

NAME = "subset_accuracy"  # in the catalogue


@dataclass(frozen=True)
class Part:
    """Test examples whose accuracy is given.

    Attributes:
        test_set: theirs; none where examples are of no test set.
        subset: theirs; none for all subsets of the test set, each counting the same.
        label: their gold label; none for all labels.
        weights: how much each example counts, ``[examples]``.
    """

    test_set: str | None
    subset: str | None
    label: str | None
    weights: np.ndarray

    @property
    def metric(self) -> str:
        """Name of its accuracy: ``subset_accuracy/hans/subsequence/no``."""
        return "/".join([NAME, *(name for name in (self.test_set, self.subset, self.label) if name is not None)])

    def row(self) -> Json:
        """What it is, as JSON."""
        what = {"test_set": self.test_set, "subset": self.subset, "label": self.label}
        return {**what, "n": int(np.count_nonzero(self.weights)), "metric": self.metric}


def parts(predictions: Predictions) -> Iterator[Part]:
    """The parts of every test set that has subsets: all of them, each, and the gold labels in each."""

    def whose() -> Iterator[tuple[str | None, str | None]]:
        return zip(predictions.test_sets, predictions.subsets, strict=True)

    groups = [group for group in dict.fromkeys(whose()) if group[1] is not None]
    n = len(predictions.ids)
    members = {group: np.fromiter((each == group for each in whose()), float, n) for group in groups}
    for test_set in dict.fromkeys(test_set for test_set, _ in groups):
        own = {subset: weights for (other, subset), weights in members.items() if other == test_set}
        yield Part(test_set, None, None, sum(weights / weights.sum() for weights in own.values()))
        for subset, weights in sorted(own.items()):
            yield Part(test_set, subset, None, weights)
            for index, label in enumerate(predictions.labels):
                if (of_label := weights * (predictions.gold == index)).any():
                    yield Part(test_set, subset, label, of_label)


def metrics(predictions: Predictions, strata: np.ndarray | None) -> dict[str, Callable[[], Metric]]:
    """What makes the accuracy of each part, by name; examples are resampled within ``strata``."""

    def accuracy(weights: np.ndarray) -> Metric:
        return Metric.mean_of(predictions.gold == predictions.predicted).over(weights, strata)

    return {part.metric: partial(accuracy, part.weights) for part in parts(predictions)}
