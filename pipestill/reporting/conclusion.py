"""Conclusion of a study: the best method, if it is significantly so, and its cost beside the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipestill.reporting.comparisons import Comparison, find
from pipestill.reporting.gap import GapClosed, gap_closed
from pipestill.reporting.study import Experiment, Study


@dataclass(frozen=True)
class Conclusion:
    """Facts that are said of a study before its tables.

    Attributes:
        best: the student with the best mean.
        beaten: others that are significantly worse, best first.
        leading: the best and those with the same mean.
        tied: others that are not significantly worse.
        closed: what the best closes of the gap to the teacher, by the weaker method that it is measured from.
        training: what training took, where it was measured.
    """

    best: Experiment
    leading: list[Experiment]
    beaten: list[Experiment]
    tied: list[Experiment]
    closed: dict[str, GapClosed]
    training: "Training | None"


@dataclass(frozen=True)
class Training:
    """Seconds of training per seed.

    Attributes:
        processor: whether they are of processor time, or else of wall time.
        best: of the best student.
        ratios: how many times as long other students took, in the order of their rank, with their titles.
        taught: students that learn from the teacher.
        teacher: of the teacher's own training, where it was trained.
    """

    processor: bool
    best: float
    ratios: list[tuple[float, str]]
    taught: list[Experiment]
    teacher: float | None


def conclude(study: Study, comparisons: Sequence[Comparison]) -> Conclusion:
    """Conclude from the numbers of a study.

    Args:
        study: the study.
        comparisons: all of its pairs.
    """
    best, *others = study.ranked
    beaten = [other for other in others if find(comparisons, best, other).significant]
    tied = [other for other in others if other not in beaten]
    shares = {floor: gap_closed(study, floor) for floor in ("base", "sft")}
    closed = {floor: each for floor, found in shares.items() for each in found if each.experiment is best}
    leading = [each for each in study.ranked if each.mean(study.primary) == best.mean(study.primary)]
    return Conclusion(best, leading, beaten, tied, closed, _training(study))


def _training(study: Study) -> Training | None:
    key, costs = _train_seconds(study)
    best, *others = study.ranked
    if best.method not in costs:
        return None
    ratios = [(costs[each.method] / costs[best.method], each.title) for each in others if each.method in costs]
    taught = [each for each in study.ranked if each.learns_from_teacher]
    return Training(key == "cpu_s", costs[best.method], ratios, taught, costs.get("teacher"))


def _train_seconds(study: Study) -> tuple[str, dict[str, float]]:
    """Seconds of training per seed by method: of processor time if that is known of all, else of wall time."""
    trained = {each.method: each.evaluation.cost.train for each in study.experiments}
    trained = {method: train for method, train in trained.items() if train}
    for key in ("cpu_s", "wall_s"):
        if all(getattr(train, key) is not None for train in trained.values()):
            return key, {method: getattr(train, key) for method, train in trained.items()}
    return "", {}
