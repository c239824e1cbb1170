"""Metrics against scikit-learn, and against themselves on repeated examples."""

import numpy as np
import pytest
from sklearn import metrics as sk

from pipestill.answers.labels import classification
from pipestill.answers.labels.calibration import confusion_matrix

LABELS = ["Good", "Standard", "Bad"]


def drawn(n: int = 500, n_labels: int = 3, seed: int = 0):
    """Gold labels, predictions and log-probabilities of a mediocre classifier."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, n_labels, n)
    scores = rng.normal(size=(n, n_labels)) + 1.2 * np.eye(n_labels)[gold]
    return gold, scores.argmax(axis=1), classification.log_softmax(scores)


@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_metrics_equal_scikit_learn(n_labels):
    gold, predicted, log_probabilities = drawn(n_labels=n_labels)
    measured = {
        name: metric.estimate() for name, metric in classification.metrics(gold, predicted, log_probabilities).items()
    }
    probabilities, labels = np.exp(log_probabilities), list(range(n_labels))
    brier = np.mean(
        [sum((p - (g == i)) ** 2 for i, p in enumerate(row)) for row, g in zip(probabilities, gold, strict=True)]
    )
    assert measured["accuracy"] == pytest.approx(sk.accuracy_score(gold, predicted), abs=1e-12)
    assert measured["macro_f1"] == pytest.approx(sk.f1_score(gold, predicted, average="macro"), abs=1e-12)
    assert measured["nll"] == pytest.approx(sk.log_loss(gold, probabilities, labels=labels), abs=1e-9)
    assert measured["brier"] == pytest.approx(brier, abs=1e-12)
    if n_labels > 2:
        assert measured["brier"] == pytest.approx(
            sk.brier_score_loss(gold, probabilities, labels=labels, scale_by_half=False), abs=1e-9
        )


def test_ece_is_the_weighted_gap_of_the_bins():
    gold, predicted, log_probabilities = drawn()
    confidence = np.exp(log_probabilities).max(axis=1)
    expected = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (confidence > low + 1e-12) & (confidence <= low + 0.1 + 1e-12)
        if inside.any():
            gap = abs(confidence[inside].mean() - (gold == predicted)[inside].mean())
            expected += inside.mean() * gap
    measured = classification.metrics(gold, predicted, log_probabilities)["ece"].estimate()
    assert measured == pytest.approx(expected, abs=1e-12)
    bins = classification.reliability(confidence, gold == predicted)
    from_bins = sum(bin["n"] * abs(bin["confidence"] - bin["accuracy"]) for bin in bins if bin["n"]) / len(gold)
    assert from_bins == pytest.approx(measured, abs=1e-12)
    assert sum(bin["n"] for bin in bins) == len(gold)
    assert all((bin["confidence"] is None) == (bin["n"] == 0) for bin in bins)


def test_bins_are_open_below_and_closed_above():
    assert list(classification.bin_index(np.array([1e-9, 0.1, 0.1000001, 0.95, 1.0]))) == [0, 0, 1, 9, 9]


def test_per_class_and_confusion_equal_scikit_learn():
    gold, predicted, _ = drawn()
    confusion = confusion_matrix(gold, predicted, 3)
    assert (confusion == sk.confusion_matrix(gold, predicted)).all()
    expected = np.array(sk.precision_recall_fscore_support(gold, predicted)).T
    table = classification.per_class(confusion, LABELS)
    for label, row in zip(LABELS, expected, strict=True):
        assert [table[label][key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(list(row))


def test_label_that_is_never_predicted_and_label_that_never_occurs():
    gold, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    confusion = confusion_matrix(gold, predicted, 3)  # the third label occurs nowhere
    assert classification.macro_f1(confusion) == pytest.approx(sk.f1_score(gold, predicted, average="macro"))
    table = classification.per_class(confusion, LABELS)
    assert table["Standard"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2}
    assert table["Bad"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_metrics_over_weights_are_those_of_repeated_examples():
    gold, predicted, log_probabilities = drawn(n=60)
    times = np.random.default_rng(1).integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), times)
    whole = classification.metrics(gold, predicted, log_probabilities)
    parts = classification.metrics(gold[repeated], predicted[repeated], log_probabilities[repeated])
    for name, metric in whole.items():
        weighted = metric.value((times / times.sum()) @ metric.statistics)
        assert weighted == pytest.approx(parts[name].estimate(), abs=1e-12), name


def test_log_softmax_survives_large_scores():
    log_probabilities = classification.log_softmax(np.array([[1000.0, 0.0, -1000.0]]))
    assert np.isfinite(log_probabilities).all()
    assert np.exp(log_probabilities).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("confusion", "expected"),
    [
        ([[20, 0, 0], [19, 1, 0], [20, 0, 0]], {"label": "Good", "share": pytest.approx(59 / 60)}),
        ([[15, 5, 0], [5, 15, 0], [5, 0, 15]], None),
        ([[94, 1, 0], [3, 1, 0], [1, 0, 0]], None),  # the label is that frequent in truth
    ],
)
def test_collapse(confusion, expected):
    assert classification.collapsed(np.array(confusion), LABELS) == expected
