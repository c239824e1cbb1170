"""Shares of the way from a weaker model to the teacher that trained students go."""

from dataclasses import dataclass

import numpy as np

from pipestill.evaluation.few import Interval
from pipestill.evaluation.measured import is_enough
from pipestill.evaluation.statistics import interval
from pipestill.reporting.study import Experiment, Study


@dataclass(frozen=True)
class GapClosed:
    """A student's share of the gap, on the primary metric: 0 at the weaker model, 1 at the teacher."""

    experiment: Experiment
    share: float
    ci95: Interval


def gap_closed(study: Study, floor: str) -> list[GapClosed]:
    """Shares of the gap between the method ``floor`` and the teacher that the other trained students close.

    A ratio of differences, (student - floor) / (teacher - floor), and its percentile interval over the replicates that
    all three share. Empty unless there is a gap: the 95 % interval of the teacher's lead must lie above 0. The few
    replicates without a gap are left out. Without students whose difference resamples do not tell.
    """
    weaker, teacher = study.get(floor), study.teacher
    if weaker is None or teacher is None:
        return []
    lead = _leads(study, floor)
    if teacher.method not in lead or interval(lead[teacher.method])[0] <= 0:
        return []
    there = lead[teacher.method] > 0
    gap = teacher.mean(study.primary) - weaker.mean(study.primary)
    return [
        GapClosed(
            experiment=experiment,
            share=(experiment.mean(study.primary) - weaker.mean(study.primary)) / gap,
            ci95=interval(lead[experiment.method][there] / lead[teacher.method][there]),
        )
        for experiment in study.trained
        if experiment.method in lead
    ]


def _leads(study: Study, floor: str) -> dict[str, np.ndarray]:
    """Replicates of what others are above the method ``floor``, of those whose difference resamples tell."""
    sign, weaker = -1 if study.lower_is_better else 1, study.measured[floor]
    others = {method: each for method, each in study.measured.items() if method != floor}
    return {
        method: sign * (each.samples - weaker.samples)
        for method, each in others.items()
        if is_enough(each.jackknife - weaker.jackknife, [*each.training, *weaker.training])
    }
