"""Metrics of label ranking, in numpy: ``gold`` and ``predicted`` are indices ``[examples]`` into the labels."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from pipestill.answers.labels.calibration import log_posterior as log_softmax
from pipestill.answers.labels.calibration import macro_f1, precision_recall_f1
from pipestill.evaluation.metric import Metric, Metrics
from pipestill.io.records import Json
from pipestill.metrics.catalogue import CATALOGUE

BINS = 10
PART = 1 << 14  # examples whose probabilities are in memory at a time
COLLAPSE_SHARE = 0.9  # of all predictions going to one label ...
COLLAPSE_EXCESS = 0.1  # ... and this much above the label's share among the gold labels
COLLAPSE_LEAST = 10  # predictions; fewer may go to one label by chance


def confusion_cells(gold: np.ndarray, predicted: np.ndarray, n_labels: int) -> np.ndarray:
    """One-hot cell of the confusion matrix for each example, ``[examples, labels * labels]``, gold label first."""
    return np.eye(n_labels * n_labels, dtype=bool)[gold * n_labels + predicted]


def _imagined_cells(n_labels: int) -> np.ndarray:
    """Two examples of each label, one right and one wrong: those of a rare label may all be right, or absent."""
    labels = np.arange(n_labels)
    predicted = np.stack([labels, (labels + 1) % n_labels], axis=1)
    return confusion_cells(np.repeat(labels, 2), predicted.ravel(), n_labels)


def bin_index(confidence: np.ndarray) -> np.ndarray:
    """The one of ``BINS`` equal intervals ``(low, high]`` of ``(0, 1]`` that each confidence falls into."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def reliability(confidence: np.ndarray, correct: np.ndarray) -> list[Json]:
    """Mean confidence and accuracy per bin; ``None`` where a bin is empty."""
    bins, rows = bin_index(confidence), []
    for index in range(BINS):
        inside = bins == index
        n = int(inside.sum())
        rows.append(
            {
                "low": index / BINS,
                "high": (index + 1) / BINS,
                "n": n,
                "confidence": float(confidence[inside].mean()) if n else None,
                "accuracy": float(correct[inside].mean()) if n else None,
            }
        )
    return rows


def macro_f1_metric(gold: np.ndarray, predicted: np.ndarray, n_labels: int) -> Metric:
    """Macro F1 of one run."""
    return Metric(
        confusion_cells(gold, predicted, n_labels),
        lambda means: macro_f1(means.reshape(*means.shape[:-1], n_labels, n_labels)),
        imagined=_imagined_cells(n_labels),
    )


def metrics(gold: np.ndarray, predicted: np.ndarray, scores: np.ndarray, prior: np.ndarray | float = 0.0) -> Metrics:
    """The metrics of one run, whose probabilities are the softmax of ``scores`` ``[examples, labels]`` less ``prior``.

    ``nll`` is in nats; ``brier`` sums the squared error over the labels (0 to 2); ``ece`` is the expected calibration
    error of the predicted label's probability over ``BINS`` equal bins.
    """
    n, n_labels = scores.shape

    def accuracy() -> Metric:
        return Metric.mean_of(gold == predicted)

    def parts() -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Some of the examples, the places of each in a part, and their log-probabilities."""
        for start in range(0, n, PART):
            log_probabilities = log_softmax(scores[start : start + PART] - prior)
            yield slice(start, start + PART), np.arange(len(log_probabilities)), log_probabilities

    def nll() -> Metric:
        values = np.empty(n)
        for part, rows, log_probabilities in parts():
            values[part] = -log_probabilities[rows, gold[part]]
        return Metric.mean_of(values, highest=CATALOGUE["nll"].highest)

    def brier() -> Metric:
        values = np.empty(n)
        for part, _, log_probabilities in parts():
            values[part] = ((np.exp(log_probabilities) - np.eye(n_labels)[gold[part]]) ** 2).sum(axis=1)
        return Metric.mean_of(values, highest=CATALOGUE["brier"].highest)

    def ece() -> Metric:
        # The gap of a bin, weighted by its share of examples, is the mean of (confidence - correct) inside it.
        gaps = np.zeros((n, BINS))
        for part, rows, log_probabilities in parts():
            confidence = np.exp(log_probabilities)[rows, predicted[part]]
            gaps[part][rows, bin_index(confidence)] = confidence - (gold[part] == predicted[part])
        return Metric(gaps, lambda means: np.abs(means).sum(axis=-1), biased_up=True)

    macro = partial(macro_f1_metric, gold, predicted, n_labels)
    return Metrics({"accuracy": accuracy, "macro_f1": macro, "nll": nll, "brier": brier, "ece": ece})


def per_class(confusion: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support by label, from counts ``[labels, labels]``."""
    precision, recall, f1 = precision_recall_f1(confusion)
    support = confusion.sum(axis=1)
    return {
        label: {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(support[i]),
        }
        for i, label in enumerate(labels)
    }


def majority(gold: np.ndarray, labels: Sequence[str]) -> Json:
    """What it gives to answer always with the most frequent gold label, from counts ``[labels]``."""
    top = int(gold.argmax())
    confusion = np.zeros((len(gold), len(gold)), dtype=int)
    confusion[:, top] = gold
    return {"label": labels[top], "accuracy": float(gold[top] / gold.sum()), "macro_f1": float(macro_f1(confusion))}


def answered(confusion: np.ndarray, labels: Sequence[str]) -> Json:
    """How often each label is predicted, and what the most frequent would give, from counts ``[labels, labels]``."""
    n, predicted = int(confusion.sum()), confusion.sum(axis=0)
    return {
        "n": n,
        "predicted": {label: float(count / n) for label, count in zip(labels, predicted, strict=True)},
        "majority": majority(confusion.sum(axis=1), labels),
        "collapsed": collapsed(confusion, labels),
    }


def collapsed(confusion: np.ndarray, labels: Sequence[str]) -> Json | None:
    """The label that takes nearly all of many predictions, with its share, when it is not that frequent in truth."""
    predicted, gold = (confusion.sum(axis=axis) / confusion.sum() for axis in (0, 1))
    top = int(predicted.argmax())
    if (
        confusion.sum() < COLLAPSE_LEAST
        or predicted[top] < COLLAPSE_SHARE
        or predicted[top] < gold[top] + COLLAPSE_EXCESS
    ):
        return None
    return {"label": labels[top], "share": float(predicted[top])}
