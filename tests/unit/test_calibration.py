"""Priors, probabilities and the choice of a calibration, against plain definitions and scikit-learn."""

import json
import math

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn.metrics import accuracy_score, f1_score, log_loss

from pipestill.answers.labels.calibration import (
    CALIBRATIONS,
    calibrate,
    calibration_record,
    choose,
    fit_priors,
    validation_metrics,
)
from pipestill.errors import UserError

LABELS = ["Bad", "Good", "Standard"]


@pytest.fixture
def raw():
    return np.random.default_rng(0).normal(-3, 2, (40, 3))


@pytest.fixture
def nulls():
    draw = np.random.default_rng(1)
    return {name: draw.normal(-3, 2, (n, 3)) for name, n in [("multi_null", 3), ("domain_conditional", 20), ("pmi", 1)]}


def test_calibrate(raw):
    prior = np.array([-1.0, 0.5, 2.0])
    result = calibrate(raw, prior)
    for i, row in enumerate(raw):
        scores = [value - shift for value, shift in zip(row, prior, strict=True)]
        first, second = sorted(scores, reverse=True)[:2]
        assert result.scores[i] == pytest.approx(scores)
        assert result.probabilities[i] == pytest.approx(softmax(scores))
        assert result.predictions[i] == scores.index(first)
        assert result.margins[i] == pytest.approx(first - second)


def test_extreme_scores_stay_finite():
    raw = np.array([[-2000.0, 0.0, -1000.0], [-3000.0, -1.0, -1.0]])
    result = calibrate(raw, fit_priors(raw, {})["batch"])
    assert np.isfinite(result.scores).all() and np.isfinite(result.probabilities).all()
    assert math.isfinite(validation_metrics(raw, [0, 1], np.zeros(3))["nll"])


def test_priors(raw, nulls):
    priors = fit_priors(raw, nulls)
    assert tuple(priors) == CALIBRATIONS
    assert priors["none"].tolist() == [0, 0, 0]
    assert priors["multi_null"] == pytest.approx(sum(nulls["multi_null"]) / 3)
    assert priors["pmi"] == pytest.approx(nulls["pmi"][0])
    posterior = [np.exp(row - logsumexp(row)) for row in nulls["domain_conditional"]]
    assert priors["domain_conditional"] == pytest.approx(np.log(sum(posterior) / 20))
    assert priors["batch"] == pytest.approx(np.log(softmax(raw, axis=1).mean(axis=0)))
    assert tuple(fit_priors(raw, {"pmi": nulls["pmi"]})) == ("none", "pmi", "batch")


def test_batch_prior_undoes_a_bias_towards_one_label():
    gold = np.arange(60) % 3
    fair = np.where(np.arange(3) == gold[:, None], 0.0, -1.0)
    biased = fair + np.array([5.0, 0.0, 0.0])
    assert (calibrate(biased, np.zeros(3)).predictions == 0).all()
    assert (calibrate(biased, fit_priors(biased, {})["batch"]).predictions == gold).all()


def test_validation_metrics(raw):
    gold = np.random.default_rng(2).integers(0, 3, 40)
    prior = np.array([0.3, -0.2, 1.0])
    metrics = validation_metrics(raw, gold, prior)
    predictions = (raw - prior).argmax(axis=1)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(gold, predictions))
    assert metrics["macro_f1"] == pytest.approx(f1_score(gold, predictions, average="macro", labels=[0, 1, 2]))
    assert metrics["nll"] == pytest.approx(log_loss(gold, softmax(raw - prior, axis=1), labels=[0, 1, 2]))


def test_macro_f1_of_a_collapsed_classifier():
    gold = [0, 0, 1, 1]  # label 2 neither occurs nor is predicted
    metrics = validation_metrics(np.tile([1.0, 0.0, 0.0], (4, 1)), gold, np.zeros(3))
    expected = f1_score(gold, [0] * 4, average="macro")
    assert metrics["macro_f1"] == pytest.approx(expected)


def test_choice():
    table = {
        "none": {"macro_f1": 0.7, "nll": 0.9},
        "multi_null": {"macro_f1": 0.8, "nll": 0.9},
        "pmi": {"macro_f1": 0.8, "nll": 0.8},
        "batch": {"macro_f1": 0.8, "nll": 0.8},
    }
    assert choose(dict(reversed(table.items())), "auto") == "pmi"
    assert choose(table, "none") == "none"
    with pytest.raises(UserError, match="'domain_conditional' cannot be used: there are auto, none, multi_null"):
        choose(table, "domain_conditional")


def test_record(raw, nulls):
    gold = (raw - nulls["multi_null"].mean(axis=0)).argmax(axis=1)
    record = calibration_record(LABELS, raw, gold, nulls)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["chosen"] == "multi_null" and record["configured"] == "auto" and record["fitted_on"] == "validation"
    assert record["validation"]["multi_null"]["macro_f1"] == 1.0 > record["validation"]["none"]["macro_f1"]
    assert list(record["priors"]) == list(record["validation"]) == list(CALIBRATIONS)
    assert record["priors"]["pmi"] == pytest.approx(dict(zip(LABELS, nulls["pmi"][0], strict=True)))
    assert calibration_record(LABELS, raw, gold, nulls, "pmi")["chosen"] == "pmi"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda raw: fit_priors(np.empty((0, 3)), {}), "validation must be finite and of shape"),
        (lambda raw: fit_priors(raw, {"pmi": np.array([[0.0, np.nan, 0.0]])}), "must be finite"),
        (lambda raw: fit_priors(raw, {"pmi": np.zeros((1, 2))}), "'pmi' have 2 labels, not 3"),
        (lambda raw: fit_priors(raw, {"batch": raw}), "unknown group of null prompts 'batch'"),
        (lambda raw: calibrate(raw, np.zeros(2)), "cannot calibrate scores of 3 labels"),
        (lambda raw: calibrate(raw[:, :1], np.zeros(1)), "two or more"),
        (lambda raw: validation_metrics(raw, [0], np.zeros(3)), "40 scored validation examples have 1 gold labels"),
    ],
)
def test_bad_input(raw, call, message):
    with pytest.raises(UserError, match=message):
        call(raw)
