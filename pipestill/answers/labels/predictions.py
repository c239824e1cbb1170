"""The files of one run that hold what a classifier said: ``predictions.jsonl`` and ``calibration.json``."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import iterate_jsonl
from pipestill.io.sequences import Named, Texts, first_of_each

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
    ids: Texts
    labels: Sequence[str]
    test_sets: Sequence[str | None]
    subsets: Sequence[str | None]
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
    known, places = test_sets or [None], {label: place for place, label in enumerate(labels)}
    parts: dict[str | None, int] = {}
    sets, subsets, gold, predicted = (array("i") for _ in range(4))
    raw_scores, label_mass, greedy = array("d"), array("d"), array("b")

    def ids() -> Iterator[str]:
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
            sets.append(known.index(row["test_set"]))
            subsets.append(parts.setdefault(row.get("subset"), len(parts)))
            gold.append(places[label])
            predicted.append(places[row["prediction"]])
            raw_scores.extend(_vector(row["raw_scores"], labels, f"{where}: raw_scores"))
            label_mass.extend(_vector({"label_mass": row["label_mass"]}, ["label_mass"], f"{where}: label_mass"))
            greedy.extend(label in row["greedy"] for label in labels)
            yield row["id"]

    column = Texts(ids()).column
    if not len(column):
        raise UserError(f"{path} holds no row of the test split: predict again")
    _check_once(path, column)
    order = np.lexsort((column, np.frombuffer(sets, np.int32)))

    def ordered(values: array, kind: type, *shape: int) -> np.ndarray:
        return np.frombuffer(values, kind).reshape(-1, *shape)[order]

    return Predictions(
        path,
        ids=Texts(column[order]),
        labels=labels,
        test_sets=Named(ordered(sets, np.int32), known),
        subsets=Named(ordered(subsets, np.int32), list(parts)),
        gold=ordered(gold, np.int32),
        predicted=ordered(predicted, np.int32),
        raw_scores=ordered(raw_scores, np.float64, len(labels)),
        label_mass=ordered(label_mass, np.float64),
        greedy=ordered(greedy, np.bool_, len(labels)),
    )


def _check_once(path: Path, ids: np.ndarray) -> None:
    """Refuse an id that occurs a second time among those of the test rows."""
    repeated = np.flatnonzero(first_of_each(ids) != np.arange(len(ids)))
    if len(repeated):
        tested = (number for number, row in enumerate(iterate_jsonl(path), 1) if row["split"] == "test")
        number, name = next(islice(tested, repeated[0], None)), ids[repeated[0]].decode()
        raise UserError(
            f"{path}, line {number}: the id {name!r} occurs a second time: delete the file and predict again"
        )


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
