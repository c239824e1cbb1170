"""Calibration of ranked labels: a prior per label, subtracted from the raw scores.

Every prior is computed from stored scores, ``[examples, labels]`` mean log-probabilities, and needs no model:

* ``none``: zero.
* ``multi_null``: mean raw score over several content-free prompts (Zhao et al. 2021, averaged in log space).
* ``domain_conditional``: log of the mean posterior over random bags of in-domain words (Fei et al. 2023).
* ``pmi``: mean raw score behind the domain premise alone (Holtzman et al. 2021).
* ``batch``: log of the mean posterior over the validation examples (Zhou et al. 2023).

``auto`` takes the one that does best on validation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipestill.errors import UserError

CALIBRATIONS = ("none", "multi_null", "domain_conditional", "pmi", "batch")  # in the order that breaks ties
AUTO = "auto"


@dataclass(frozen=True)
class Calibrated:
    """Calibrated scores and what follows from them.

    Attributes:
        scores: ``[examples, labels]``, raw scores minus the prior.
        probabilities: ``[examples, labels]``, softmax of the scores.
        predictions: ``[examples]``, index of the highest score (the first of equals).
        margins: ``[examples]``, highest score minus the second.
    """

    scores: np.ndarray
    probabilities: np.ndarray
    predictions: np.ndarray
    margins: np.ndarray


def calibrate(raw: np.ndarray, prior: np.ndarray) -> Calibrated:
    """Subtract ``prior`` ``[labels]`` from ``raw`` ``[examples, labels]``.

    Raises:
        UserError: there are fewer than two labels, or the shapes do not fit.
    """
    raw, prior = _scores(raw, "raw scores"), np.asarray(prior, dtype=np.float64)
    if raw.shape[1] < 2 or prior.shape != raw.shape[1:]:
        raise UserError(
            f"a prior of shape {prior.shape} cannot calibrate scores of {raw.shape[1]} labels (two or more)"
        )
    scores = raw - prior
    top = np.sort(scores, axis=1)
    return Calibrated(scores, np.exp(log_posterior(scores)), scores.argmax(axis=1), top[:, -1] - top[:, -2])


def log_posterior(scores: np.ndarray) -> np.ndarray:
    """Log-softmax over the labels, ``[examples, labels]``."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def fit_priors(validation: np.ndarray, nulls: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The prior ``[labels]`` of every calibration, in the order of ``CALIBRATIONS``.

    Args:
        validation: raw scores of the validation examples, ``[examples, labels]``.
        nulls: raw scores of the null prompts, ``[prompts, labels]``, of ``multi_null``, ``domain_conditional`` and
            ``pmi``. A group that is not given has no prior.

    Raises:
        UserError: no scores, scores that are not finite or of another number of labels, or an unknown group.
    """
    priors = {"none": np.zeros(_scores(validation, "validation").shape[1]), "batch": log_mean_posterior(validation)}
    fits = {"multi_null": mean_score, "domain_conditional": log_mean_posterior, "pmi": mean_score}
    for name, raw in nulls.items():
        if name not in fits:
            raise UserError(f"unknown group of null prompts {name!r}: known are {', '.join(fits)}")
        priors[name] = fits[name](raw)
        if priors[name].shape != priors["none"].shape:
            raise UserError(f"the null scores {name!r} have {len(priors[name])} labels, not {len(priors['none'])}")
    return {name: priors[name] for name in CALIBRATIONS if name in priors}


def mean_score(raw: np.ndarray) -> np.ndarray:
    """Mean over prompts of ``raw`` ``[prompts, labels]``."""
    return _scores(raw, "null prompts").mean(axis=0)


def log_mean_posterior(raw: np.ndarray) -> np.ndarray:
    """Log of the mean over prompts of the labels' softmaxed scores ``raw`` ``[prompts, labels]``."""
    posterior = log_posterior(_scores(raw, "prompts"))
    peak = posterior.max(axis=0)  # a label that is out of the question everywhere must not become log 0
    return peak + np.log(np.exp(posterior - peak).mean(axis=0))


def confusion_matrix(gold: np.ndarray, predicted: np.ndarray, n_labels: int) -> np.ndarray:
    """Counts ``[labels, labels]``: rows gold, columns predicted."""
    return np.bincount(gold * n_labels + predicted, minlength=n_labels**2).reshape(n_labels, n_labels)


def precision_recall_f1(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each ``[..., labels]`` from counts or shares ``[..., labels, labels]``; 0 where there is nothing to divide by."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    gold, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)

    return ratio(hits, predicted), ratio(hits, gold), ratio(2 * hits, gold + predicted)


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Unweighted mean F1 ``[...]`` over the labels that occur, gold or predicted, in ``[..., labels, labels]``."""
    f1 = precision_recall_f1(confusion)[2]
    occurs = (confusion.sum(axis=-1) + confusion.sum(axis=-2)) > 0
    return f1.sum(axis=-1) / occurs.sum(axis=-1)


def validation_metrics(raw: np.ndarray, gold: Sequence[int], prior: np.ndarray) -> dict[str, float]:
    """``macro_f1``, ``accuracy`` and ``nll`` (nats) of one calibration; ``gold`` are indices of labels."""
    calibrated, gold = calibrate(raw, prior), np.asarray(gold)
    if gold.shape != calibrated.predictions.shape:
        raise UserError(f"{len(calibrated.predictions)} scored validation examples have {len(gold)} gold labels")
    return {
        "macro_f1": float(macro_f1(confusion_matrix(gold, calibrated.predictions, calibrated.scores.shape[1]))),
        "accuracy": float((calibrated.predictions == gold).mean()),
        "nll": float(-log_posterior(calibrated.scores)[np.arange(len(gold)), gold].mean()),
    }


def choose(validation: Mapping[str, Mapping[str, float]], configured: str) -> str:
    """Name of the calibration to use: ``configured``, or for ``auto`` the best of ``validation``.

    The best has the highest macro-F1, then the lowest NLL, then comes first in ``CALIBRATIONS``.
    """
    if configured == AUTO:
        names = [name for name in CALIBRATIONS if name in validation]
        return min(names, key=lambda name: (-validation[name]["macro_f1"], validation[name]["nll"]))
    if configured not in validation:
        raise UserError(f"calibration {configured!r} cannot be used: there are {', '.join([AUTO, *validation])}")
    return configured


def calibration_record(
    labels: Sequence[str],
    validation: np.ndarray,
    gold: Sequence[int],
    nulls: Mapping[str, np.ndarray],
    configured: str = AUTO,
) -> dict[str, Any]:
    """The content of ``calibration.json``: every prior, how it does on validation, and which one is chosen.

    Args:
        labels: names of the labels, in the order of the scores' columns.
        validation: raw scores of the validation examples, ``[examples, labels]``.
        gold: index of each validation example's label.
        nulls: see :func:`fit_priors`.
        configured: one of ``CALIBRATIONS``, or ``auto``.
    """
    priors = fit_priors(validation, nulls)
    metrics = {name: validation_metrics(validation, gold, prior) for name, prior in priors.items()}
    return {
        "chosen": choose(metrics, configured),
        "configured": configured,
        "fitted_on": "validation",
        "priors": {name: dict(zip(labels, map(float, prior), strict=True)) for name, prior in priors.items()},
        "validation": metrics,
    }


def _scores(raw: np.ndarray, what: str) -> np.ndarray:
    raw = np.asarray(raw, dtype=np.float64)
    if raw.ndim != 2 or 0 in raw.shape or not np.isfinite(raw).all():
        raise UserError(f"scores of {what} must be finite and of shape [examples, labels], not {raw.shape}")
    return raw
