"""Facts of any study that may mislead a reader; the template says them in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipestill.evaluation.evaluation import Closeness
from pipestill.evaluation.measured import TESTED, Measured, is_enough
from pipestill.reporting.comparisons import ALPHA, Comparison, find
from pipestill.reporting.study import Experiment, Study

FEW_RUNS = 5  # below, how far runs lie apart is hardly known
LEAST_TOKENS = 100  # whose mean log-likelihood says something of others


@dataclass(frozen=True)
class Warnings:
    """Facts that may mislead a reader.

    Attributes:
        own: sentences of the study's kind of answers.
        single: titles of trained students with one run.
        apart: titles of those whose few runs lie so far apart that this is a large part of the variance.
        small: test sets with too few examples to tell, and how many they have.
        family: how many comparisons are corrected together, where resamples are too few for so many.
        needed: resamples that these need at least.
        teacher: why there is little to learn from the teacher, if so.
    """

    own: list[str]
    single: list[str]
    apart: list[str]
    small: dict[str, int]
    family: int
    needed: int | None
    teacher: "TeacherWarnings | None"


@dataclass(frozen=True)
class TeacherWarnings:
    """A teacher that may have little to teach.

    Attributes:
        level_with: the SFT student, where the teacher is not significantly better.
        behind: the best student, where it is ahead of the teacher.
        less_sure: of SFT, where its NLL of the answers is no higher than the teacher's.
    """

    level_with: Experiment | None
    behind: Experiment | None
    less_sure: Closeness | None


def warnings(study: Study, comparisons: Sequence[Comparison]) -> Warnings:
    """Find what a reader must be careful about.

    Args:
        study: the study.
        comparisons: its pairs.
    """
    single = [experiment.title for experiment in study.trained if len(experiment.runs) == 1]
    own = list(dict.fromkeys(study.show.warnings(study)))
    apart = [each.title for each in study.trained if _is_apart(study.measured[each.method])]
    small = {name: size for name, size in study.first.test_sets.items() if size < TESTED}
    family = max(Counter(each.family for each in comparisons if each.test).values(), default=0)
    return Warnings(own, single, apart, small, family, _needed(study, family), _teacher(study, comparisons))


def _is_apart(measured: Measured) -> bool:
    """True if it is for few runs, and not for few examples, that an interval is wide."""
    examples, training = measured.jackknife, measured.training
    return len(measured.runs) < FEW_RUNS and is_enough(examples, []) and not is_enough(examples, training)


def _needed(study: Study, family: int) -> int | None:
    smallest = 2 / (study.bootstrap.resamples + 1)  # p-value that the bootstrap can give
    return int(2 * family / ALPHA) if smallest * family >= ALPHA else None


def _teacher(study: Study, comparisons: Sequence[Comparison]) -> TeacherWarnings | None:
    """Find signs that there is little to learn from the teacher, for studies in which a student does."""
    teacher, sft, best = study.teacher, study.sft, study.ranked[0]
    if teacher is None or not study.testable or not any(each.learns_from_teacher for each in study.experiments):
        return None
    against = sft and find(comparisons, teacher, sft)
    level = bool(against) and not (against.significant and against.better is teacher)
    behind = not level and find(comparisons, teacher, best).better is best
    closeness = sft.closeness if sft else None
    measured = closeness if closeness and closeness.tokens >= LEAST_TOKENS else None
    less_sure = measured if measured and measured.teacher_nll.mean >= measured.student_nll.mean else None
    return TeacherWarnings(sft if level else None, best if behind else None, less_sure)
