"""Compressed students of a study beside the others: size, speed, quality, and the smallest that is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.evaluation.few import Interval
from pipestill.evaluation.formats import bracket, number, percent, size
from pipestill.io.files import read_json
from pipestill.methods import TEACHER_NAME
from pipestill.reporting.comparisons import AGAINST_PARENT, Comparison, against_parents, compressed_against, find
from pipestill.reporting.conclusion import LEVEL
from pipestill.reporting.study import Experiment, Study
from pipestill.settings.sizes import Size, Sizes


def with_sizes(studies: Sequence[Study], paths: Sequence[Path]) -> list[Study]:
    """Studies with the sizes of their models.

    Args:
        studies: of the report.
        paths: files of sizes, for some of them.

    Raises:
        UserError: a file is broken.
    """
    found = {each.study: each.rows for each in map(_read, paths)}
    return [replace(study, sizes=found.get(study.name, {})) for study in studies]


def _read(path: Path) -> Sizes:
    try:
        return Sizes.model_validate(read_json(path))
    except ValidationError:
        raise UserError(f"{path} holds no sizes of models: measure them again") from None


@dataclass(frozen=True)
class Choice:
    """A student whose difference from the best has an interval with 0 in it, and the least of these in some way.

    Intervals are not corrected for their number, which would let more students pass for as good.

    Attributes:
        experiment: the student.
        comparison: what it is above the best; none if it is the best itself.
    """

    experiment: Experiment
    comparison: Comparison | None


@dataclass(frozen=True)
class Compression:
    """Students of a study by size and speed.

    Attributes:
        study: the study.
        students: those whose models were measured, the smallest first.
        leader: the one with the best mean.
        comparisons: of compressed students: each against the one that it was made of, then other ones against the best
            student.
        smallest: on disk.
        fastest: the best of those that are as fast as any at writing; at reading, where students do not write.
    """

    study: Study
    students: list[Experiment]
    leader: Experiment
    comparisons: list[Comparison]
    smallest: Choice
    fastest: Choice

    def size(self, experiment: Experiment) -> Size:
        """Size of the model of a row, of a variant that of the models which it asks."""
        return self.study.sizes[experiment.models]

    @property
    def parents(self) -> list[Comparison]:
        """Each compressed student against the one that it was made of."""
        return [each for each in self.comparisons if each.family == AGAINST_PARENT]

    def beside_parent(self, experiment: Experiment) -> Comparison | None:
        """A compressed student against the one that it was made of."""
        return next((each for each in self.parents if each.a is experiment), None)

    def sentences(self) -> list[str]:
        """The smallest and the fastest student that is not told apart from the best, in words."""
        study, smallest, fastest = self.study, self.smallest, self.fastest
        own, of_best = self.size(smallest.experiment), self.size(self.leader)
        share = percent(own.bytes_on_disk / of_best.bytes_on_disk)
        beside = f", {share} of the best one's {size(of_best.bytes_on_disk)}" if smallest.comparison else ""
        found = [
            "The smallest model whose difference from the best has a 95 % interval with 0 in it: "
            f"{self._said(smallest)}; {size(own.bytes_on_disk)}{beside}."
        ]
        if fastest.experiment is not smallest.experiment:
            rate = f"{number(self.size(fastest.experiment).speed, 0)} tokens a second"
            beside = f", the best one {number(of_best.speed, 0)}" if fastest.comparison else ""
            found.append(f"The fastest of those: {self._said(fastest)}; {rate}{beside}.")
        if not study.testable:
            return []
        return found

    def _said(self, choice: Choice) -> str:
        study, experiment, comparison = self.study, choice.experiment, choice.comparison
        title, places = study.metric_title(study.primary), study.decimals
        mean = f"{experiment.title} ({title} {number(experiment.mean(study.primary), places)}"
        if comparison is None:
            return f"{mean}, the best itself)"
        amount = f"{number(comparison.difference, places)} {bracket(comparison.ci95, places)}"
        return f"{mean}, against {comparison.b.title} {amount})"


def compression(study: Study, pairs: Sequence[Comparison]) -> Compression | None:
    """Compressed students of a study beside the others; nothing where it has none, or nothing was measured.

    Args:
        study: the study.
        pairs: all of those that are not compressed.
    """
    if not study.compressed or not study.sizes:
        return None
    own = [each for each in study.experiments if each.models == each.method and each.method in study.sizes]
    students = sorted((each for each in own if each.method != TEACHER_NAME), key=study.rank)
    leader, *others = students
    parents = against_parents(study)
    further = compressed_against(study, leader, others, [*pairs, *parents])
    found = [find([*pairs, *parents, *further], each, leader) for each in others]
    level = [Choice(leader, None), *(Choice(each.a, each) for each in found if _holds_zero(each.ci95))]

    def size_of(choice: Choice) -> Size:
        return study.sizes[choice.experiment.method]

    top = max(size_of(each).speed for each in level)
    fast = [each for each in level if LEVEL * size_of(each).speed >= top]
    smallest = min(level, key=lambda each: size_of(each).bytes_on_disk)  # of equal ones the better
    by_size = sorted(own, key=lambda each: study.sizes[each.method].bytes_on_disk)
    return Compression(study, by_size, leader, [*parents, *further], smallest, fast[0])


def _holds_zero(ci95: Interval | None) -> bool:
    """Whether nothing may be the difference; also where its interval is not known."""
    return ci95 is None or ci95[0] <= 0 <= ci95[1]
