"""Shares of the way from a weaker model to the teacher that trained students go."""

from dataclasses import dataclass

from pipestill.evaluation.statistics import interval
from pipestill.reporting.study import Experiment, Study


@dataclass(frozen=True)
class GapClosed:
    """A student's share of the gap, on the primary metric: 0 at the weaker model, 1 at the teacher."""

    experiment: Experiment
    share: float
    ci95: tuple[float, float]


def gap_closed(study: Study, floor: str) -> list[GapClosed]:
    """Shares of the gap between the method ``floor`` and the teacher that the other trained students close.

    A ratio of differences, (student - floor) / (teacher - floor), and its percentile interval over the replicates that
    all three share. Empty unless there is a gap: the 95 % interval of the teacher's lead must lie above 0. The few
    replicates without a gap are left out.
    """
    weaker, teacher = study.get(floor), study.teacher
    if weaker is None or teacher is None:
        return []
    sign = -1 if study.lower_is_better else 1
    lead = {method: sign * (samples - study.samples[floor]) for method, samples in study.samples.items()}
    if interval(lead[teacher.method])[0] <= 0:
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
        if experiment is not weaker
    ]
