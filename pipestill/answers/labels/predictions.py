"""The files of one run that hold what a classifier said: ``predictions.jsonl`` and ``calibration.json``."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import iterate_jsonl

KEYS = {"id", "split", "test_set", "prediction", "references", "raw_scores", "label_mass", "greedy"}
TIE = 1e-6  # two scores this close may rank either way


@dataclass(frozen=True)
class Predictions:
    """The test predictions of one run, sorted by test set and id so that runs line up; labels are indices.

    Attributes:
        ids: one per example.
        labels: what indices stand for.
        test_sets: name of each example's test set; none where examples are of no test set.
        subsets: the part of its test set that each example belongs to; none where test sets have no parts.
        gold: ``[examples]``.
        predicted: ``[examples]``.
        raw_scores: mean log-probability per token, natural log, ``[examples, labels]``.
        label_mass: probability that the answer's first token begins some label, ``[examples]``.
        greedy: whether the likeliest first token of the whole vocabulary begins the label, ``[examples, labels]``.
    """

    path: Path
    ids: list[str]
    labels: Sequence[str]
    test_sets: list[str | None]
    subsets: list[str | None]
    gold: np.ndarray
    predicted: np.ndarray
    raw_scores: np.ndarray
    label_mass: np.ndarray
    greedy: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Priors that are subtracted from the raw scores, by name: ``[labels]`` each."""

    path: Path
    chosen: str
    priors: dict[str, np.ndarray]
    validation: dict[str, dict[str, float]]


def _vector(value: Any, labels: Sequence[str], where: str) -> list[float]:
    if not isinstance(value, dict) or set(value) != set(labels):
        raise UserError(f"{where} must give one number for each of the labels {', '.join(labels)}: predict again")
    vector = [value[label] for label in labels]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) and isfinite(x) for x in vector):
        raise UserError(f"{where} holds something that is not a finite number: predict again")
    return vector


def read_predictions(path: Path, labels: Sequence[str], test_sets: Sequence[str]) -> Predictions:
    """The test rows of ``path``.

    Args:
        path: the file.
        labels: that are known.
        test_sets: that are known, in order; none where examples are of no test set.

    Raises:
        UserError: the file is missing or holds no test row, a row is broken, names an unknown label or repeats an id;
            the message names the line.
    """
    rows: dict[str, tuple] = {}
    known = test_sets or [None]
    for number, row in enumerate(iterate_jsonl(path), 1):
        where = f"{path}, line {number}"
        if missing := KEYS - set(row):
            raise UserError(f"{where}: {', '.join(sorted(missing))} is missing: predict again")
        if row["split"] != "test":
            continue
        if not isinstance(row["id"], str) or not isinstance(row["references"], list):
            raise UserError(f"{where}: `id` must be a text and `references` a list: predict again")
        label, *_ = row["references"] or [None]
        for name, value, values in (
            *(("label", label, labels), ("prediction", row["prediction"], labels)),
            ("test set", row["test_set"], known),
        ):
            if value not in values:
                raise UserError(f"{where}: the {name} {value!r} is none of {', '.join(map(str, values))}")
        if not isinstance(row.get("subset"), str | None):
            raise UserError(f"{where}: `subset` must be a text: predict again")
        if not isinstance(row["greedy"], list) or not all(label in labels for label in row["greedy"]):
            raise UserError(f"{where}: `greedy` must be a list of labels: predict again")
        if row["id"] in rows:
            raise UserError(f"{where}: the id {row['id']!r} occurs a second time: delete the file and predict again")
        rows[row["id"]] = (
            row["test_set"],
            row.get("subset"),
            labels.index(label),
            labels.index(row["prediction"]),
            _vector(row["raw_scores"], labels, f"{where}: raw_scores"),
            _vector({"label_mass": row["label_mass"]}, ["label_mass"], f"{where}: label_mass")[0],
            [label in row["greedy"] for label in labels],
        )
    if not rows:
        raise UserError(f"{path} holds no row of the test split: predict again")
    ids = sorted(rows, key=lambda example: (known.index(rows[example][0]), example))
    sets, subsets, *columns = zip(*(rows[example] for example in ids), strict=True)
    return Predictions(path, ids, labels, list(sets), list(subsets), *map(np.array, columns))


def read_calibration(path: Path, labels: Sequence[str]) -> Calibration:
    """The calibrations of one run.

    Raises:
        UserError: the file is missing or broken, or the chosen calibration is not among its priors.
    """
    content = read_json(path)
    try:
        priors = {
            name: np.array(_vector(prior, labels, f"{path}: priors.{name}"))
            for name, prior in content["priors"].items()
        }
        calibration = Calibration(path, content["chosen"], priors, content["validation"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a calibration file ({error}): predict again") from None
    if calibration.chosen not in priors:
        raise UserError(f"{path}: the chosen calibration {calibration.chosen!r} has no priors: predict again")
    return calibration


def calibrated_scores(predictions: Predictions, calibration: Calibration) -> np.ndarray:
    """Raw scores less the chosen priors, ``[examples, labels]``.

    Raises:
        UserError: a stored prediction is not the label that ranks first, so the two files are not of one run.
    """
    scores = predictions.raw_scores - calibration.priors[calibration.chosen]
    chosen = scores[np.arange(len(scores)), predictions.predicted]
    wrong = np.flatnonzero(chosen < scores.max(axis=1) - TIE)
    if wrong.size:
        raise UserError(
            f"{predictions.path}: the prediction of {predictions.ids[wrong[0]]!r} is not the label that ranks first "
            f"under {calibration.path} ({calibration.chosen}): predict again"
        )
    return scores
