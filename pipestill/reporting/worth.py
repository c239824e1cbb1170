"""What a teacher is worth in labels: quality by the rows that students learn from, with gold outputs or without."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipestill.evaluation.formats import listing, plural
from pipestill.methods import SFT
from pipestill.reporting.study import Experiment, Study


@dataclass(frozen=True)
class Worth:
    """What learning from the teacher is worth to one method.

    Attributes:
        experiment: of the method, with the most prompts.
        labelled: rows with gold outputs that it learnt from.
        prompts: without gold outputs.
        least: gold outputs with which SFT is as good, at least; none: fewer than those of its first point.
        most: the same at most; none: more than those of its last point.
    """

    experiment: Experiment
    labelled: int
    prompts: int
    least: float | None
    most: float | None

    @property
    def reach(self) -> str:
        """Gold outputs with which SFT is as good, in words."""
        if self.least is not None and self.most is not None:
            return f"about {_rounded(self.most)}"
        return f"more than {self.least:.0f}" if self.least is not None else f"fewer than {self.most:.0f}"

    def sentence(self) -> str:
        """In words."""
        return (
            f"{self.experiment.title}, with {self.labelled} gold outputs and {self.prompts} prompts without, is as "
            f"good as SFT with {self.reach} gold outputs."
        )


def worth_of(study: Study) -> list[Worth]:
    """What each method's teacher is worth, by the means of the primary metric: SFT's curve is followed from its first
    point to where it reaches the method, evenly on the logarithm of its rows. None without a curve of SFT."""
    gold = study.worth.get(SFT, ())
    if not gold:
        return []
    sign = -1 if study.lower_is_better else 1
    curve = [(each.evaluation.n_train, sign * each.mean(study.primary)) for each in gold]
    found = []
    for method, points in study.worth.items():
        if method != SFT:
            last = points[-1]
            least, most = _reached(curve, sign * last.mean(study.primary))
            found.append(Worth(last, gold_of(study), prompts_of(study, last), least, most))
    return found


def supplies(study: Study) -> str:
    """What the students of a study learn from, in words: gold outputs, prompts without, the teacher and its own gold
    outputs. Empty where nothing tells the number of gold outputs."""
    if not (gold := gold_of(study)):
        return ""
    found = [plural(gold, "gold output")]
    if prompts := min((prompts_of(study, each[-1]) for name, each in study.worth.items() if name != SFT), default=0):
        found.append(f"{plural(prompts, 'prompt')} without")
    if study.teacher:
        taught = study.teacher.evaluation.n_train
        found.append("this teacher" + (f", which learnt from {plural(taught, 'gold output')}" if taught else ""))
    return f"with {listing(found)}"


def gold_of(study: Study) -> int | None:
    """Gold outputs that the students of a study learn from; none where there is no SFT to tell."""
    return study.sft.evaluation.n_train if study.sft else None


def prompts_of(study: Study, experiment: Experiment) -> int:
    """Prompts without gold outputs that an experiment learnt from beside these."""
    return experiment.evaluation.n_train - gold_of(study)


def worth_sentence(study: Study, experiment: Experiment) -> str:
    """With how many gold outputs SFT is as good as an experiment, in words; empty where no curve tells it."""
    if len(study.worth.get(SFT, ())) < 2:
        return ""
    found = (each.reach for each in worth_of(study) if each.experiment.method == experiment.method)
    return "".join(f"SFT is as good with {reach} gold outputs." for reach in found)


def _reached(curve: Sequence[tuple[int, float]], value: float) -> tuple[float | None, float | None]:
    """Rows at which a curve first reaches ``value``, as its least and most."""
    if value <= curve[0][1]:
        return (float(curve[0][0]),) * 2 if value == curve[0][1] else (None, float(curve[0][0]))
    for (before, low), (after, high) in pairwise(curve):
        if low < value <= high:
            rows = math.exp(math.log(before) + (math.log(after) - math.log(before)) * (value - low) / (high - low))
            return rows, rows
    return float(curve[-1][0]), None


def _rounded(rows: float) -> str:
    """Two digits."""
    return f"{float(f'{rows:.2g}'):.0f}"
