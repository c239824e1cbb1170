"""Closeness of the students to their teacher."""

from dataclasses import dataclass
from statistics import stdev

from pipestill.evaluation.evaluation import Closeness, Mean
from pipestill.reporting.study import Experiment, Study


@dataclass(frozen=True)
class Spread:
    """Mean of the runs, and their standard deviation; none of one run."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class ClosenessRow:
    """A student's KL to the teacher, token agreement and NLL of the gold answer."""

    experiment: Experiment
    kl: Spread
    agreement: Spread
    student_nll: Spread


def closeness_rows(study: Study) -> list[ClosenessRow]:
    """A row for each student that was compared with the teacher."""
    compared = [(each, each.closeness) for each in study.experiments if each.closeness and each is not study.teacher]
    return [
        ClosenessRow(each, _spread(found.kl), _spread(found.agreement), _spread(found.student_nll))
        for each, found in compared
    ]


def measured_on(study: Study) -> Closeness | None:
    """A comparison with the teacher: which tokens, and the teacher's NLL of them, are the same for all students."""
    return next((each.closeness for each in study.experiments if each.closeness), None)


def _spread(measured: Mean) -> Spread:
    return Spread(measured.mean, stdev(measured.per_seed) if len(measured.per_seed) > 1 else None)
