"""Curves of in-context learning: a study's primary metric by the number of demonstrations, prompt by prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipestill.errors import UserError
from pipestill.reporting.study import CurvePoint, Experiment, Study

Points = Sequence[tuple[str, int, str, str]]  # prompt, demonstrations, study and method of the experiment


def with_curves(
    studies: Sequence[Study], points: Mapping[str, Points], loaded: Mapping[tuple[str, str], Experiment]
) -> list[Study]:
    """Studies with their curves.

    Args:
        studies: whose own experiments may be points too.
        points: by study.
        loaded: experiments by study and method.

    Raises:
        UserError: an experiment is missing.
    """
    return [replace(study, curve=_curve(study.name, points.get(study.name, ()), loaded)) for study in studies]


def _curve(study: str, points: Points, loaded: Mapping) -> dict[str, list[CurvePoint]]:
    found: dict[str, list[CurvePoint]] = {}
    for prompt, shots, name, method in points:
        if (name, method) not in loaded:
            raise UserError(f"the curve of {study} needs results/{name}_{method}/eval.json; run the report again")
        found.setdefault(prompt, []).append(CurvePoint(prompt, shots, loaded[name, method]))
    return {prompt: sorted(own, key=lambda point: point.shots) for prompt, own in found.items()}
