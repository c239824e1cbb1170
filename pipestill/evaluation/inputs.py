"""Files that an evaluation is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inputs:
    """Files of one experiment.

    Attributes:
        predictions: directory of the predictions of all runs.
        data: the records, then the training files if any.
        base: directory of the base model; none where no model answers.
        models: model directory of each run, none for an untrained model; it is not known what one without training
            files was trained on.
        train_costs: ``cost.json`` of each job that a run was trained by.
        parent_costs: the same of the students that the runs were made from, where they were compressed.
        teacher_costs: the same of the jobs in which the teacher made what the runs learn from.
        bertscore: file of BERTScores, where they were computed.
        usage: ``usage.json`` of the annotation that the runs learnt from, if they did.
        annotator_cost: ``cost.json`` of the training of the annotator, where it was trained here.
        long_answers: how many answers were too long to learn, where they were dropped or cropped.
        context_accuracy: how often the teacher with its context is right on training rows, where runs learn from one.
    """

    predictions: Path
    data: Sequence[Path]
    base: Path | None = None
    models: Sequence[Path] = ()
    train_costs: Sequence[Path] = ()
    parent_costs: Sequence[Path] = ()
    teacher_costs: Sequence[Path] = ()
    bertscore: Path | None = None
    usage: Path | None = None
    annotator_cost: Path | None = None
    long_answers: Path | None = None
    context_accuracy: Path | None = None
