"""Curves of a study through experiments beyond its own: of in-context learning, and of rows that students learn."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from pipestill.errors import UserError
from pipestill.reporting.study import CurvePoint, Experiment, Study

Points = Sequence[tuple[str, int, str, str]]  # prompt, demonstrations, study and method of the experiment
Rows = Sequence[tuple[str, str]]  # study and method of each point
Loaded = Mapping[tuple[str, str], Experiment]
Line = TypeVar("Line", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True)
class Curves:
    """Curves of studies.

    Attributes:
        points: of in-context learning, by study.
        worth: of rows, by study.
        evaluations: ``eval.json`` of experiments beyond those of the studies.
    """

    points: Mapping[str, Points] = field(default_factory=dict)
    worth: Mapping[str, Rows] = field(default_factory=dict)
    evaluations: Sequence[Path] = ()


def with_curves(studies: Sequence[Study], curves: Curves, loaded: Loaded) -> list[Study]:
    """Studies with their curves: a line a prompt by demonstrations, and a line a method by training rows.

    Args:
        studies: whose own experiments may be points too.
        curves: of these studies.
        loaded: experiments by study and method.

    Raises:
        UserError: an experiment is missing.
    """
    found = []
    for study in studies:
        own = partial(_experiment, loaded, study.name)
        points = curves.points.get(study.name, ())
        shots = [CurvePoint(prompt, shots, own(name, method)) for prompt, shots, name, method in points]
        rows = [own(name, method) for name, method in curves.worth.get(study.name, ())]
        found.append(
            replace(
                study,
                curve=_lines(shots, lambda point: point.prompt, lambda point: point.shots),
                worth=_lines(rows, lambda each: each.method, lambda each: each.evaluation.n_train),
            )
        )
    return found


def _experiment(loaded: Loaded, study: str, name: str, method: str) -> Experiment:
    if (name, method) not in loaded:
        raise UserError(f"the curve of {study} needs results/{name}_{method}/eval.json; run the report again")
    return loaded[name, method]


def _lines(points: Iterable[T], line: Callable[[T], Line], place: Callable[[T], int]) -> dict[Line, list[T]]:
    """Points by the line that they are on, in the order of their places."""
    found: dict[Line, list[T]] = {}
    for point in points:
        found.setdefault(line(point), []).append(point)
    return {name: sorted(own, key=place) for name, own in found.items()}
