"""Compressed students of a study beside the others: size, speed, quality, and the smallest that is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.evaluation.formats import bracket, number, percent, size
from pipestill.io.files import read_json
from pipestill.methods import TEACHER_NAME
from pipestill.reporting.comparisons import ALPHA, Comparison, against_best, against_parents
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
    """A student that is not significantly worse than the best, and the least of these in some way.

    Each is tested by itself: a correction for the number of tests would let more of them pass for as good.

    Attributes:
        experiment: the student.
        comparison: with the best; none if it is the best itself.
    """

    experiment: Experiment
    comparison: Comparison | None


@dataclass(frozen=True)
class Compression:
    """Students of a study by size and speed.

    Attributes:
        study: the study.
        students: those whose models were measured, the smallest first.
        parents: each compressed student against the one that it was made of.
        best: each student against the best of them.
        smallest: on disk.
        fastest: the best of those that are as fast as any at writing; at reading, where students do not write.
    """

    study: Study
    students: list[Experiment]
    parents: list[Comparison]
    best: list[Comparison]
    smallest: Choice
    fastest: Choice

    def size(self, experiment: Experiment) -> Size:
        """Size of the model of a row, of a variant that of the models which it asks."""
        return self.study.sizes[experiment.models]

    def beside_parent(self, experiment: Experiment) -> Comparison | None:
        """A compressed student against the one that it was made of."""
        return next((each for each in self.parents if each.a is experiment), None)

    @property
    def leader(self) -> Experiment:
        """The student with the best mean."""
        return self.best[0].b if self.best else self.students[0]

    def sentences(self) -> list[str]:
        """The smallest and the fastest student that is not significantly worse than the best, in words."""
        study, smallest, fastest = self.study, self.smallest, self.fastest
        own, of_best = self.size(smallest.experiment), self.size(self.leader)
        share = percent(own.bytes_on_disk / of_best.bytes_on_disk)
        beside = f", {share} of the best one's {size(of_best.bytes_on_disk)}" if smallest.comparison else ""
        found = [
            f"The smallest model that is not significantly worse than the best: {self._said(smallest)}; "
            f"{size(own.bytes_on_disk)}{beside}."
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


def compression(study: Study) -> Compression | None:
    """Compressed students of a study beside the others; nothing where it has none, or nothing was measured."""
    if not study.compressed or not study.sizes:
        return None
    own = [each for each in study.experiments if each.models == each.method and each.method in study.sizes]
    students = [each for each in own if each.method != TEACHER_NAME]
    found = against_best(study, students)
    level = [Choice(each.a, each) for each in found if each.p is None or each.p >= ALPHA]
    leader = found[0].b if found else students[0]
    level = [Choice(leader, None), *level]

    def size_of(choice: Choice) -> Size:
        return study.sizes[choice.experiment.method]

    top = max(size_of(each).speed for each in level)
    fast = [each for each in level if LEVEL * size_of(each).speed >= top]

    return Compression(
        study,
        sorted(own, key=lambda each: study.sizes[each.method].bytes_on_disk),
        against_parents(study),
        found,
        min(level, key=lambda each: size_of(each).bytes_on_disk),  # of equal ones the better
        fast[0],
    )
