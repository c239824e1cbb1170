"""Needs of the planned jobs."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """Needs of the planned jobs.

    Attributes:
        models: base models.
        tasks: tasks whose raw data are taken.
        trainings: (study, method) of each training job; models of the hub have unknown sizes and are not counted.
        predictions: (study, method) of each prediction job.
        checkpoints: (study, name) of each model on disk.
        judged: studies whose answers are judged, to be measured or learnt from.
        bertscores: studies whose answers are scored by BERTScore.
        challenges: studies for which documents of a challenge are taken.
        unlabelled: studies for which prompts without gold outputs are taken.
        annotations: tasks whose rationales are asked for.
        curves: studies whose learning curve is drawn.
    """

    models: Sequence[str] = ()
    tasks: Sequence[str] = ()
    trainings: Sequence[tuple[str, str]] = ()
    predictions: Sequence[tuple[str, str]] = ()
    checkpoints: Sequence[tuple[str, str]] = ()
    judged: Sequence[str] = ()
    bertscores: Sequence[str] = ()
    challenges: Sequence[str] = ()
    unlabelled: Sequence[str] = ()
    annotations: Sequence[str] = ()
    curves: Sequence[str] = ()
