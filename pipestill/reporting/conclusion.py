"""Conclusion of a study: the best method, if it is significantly so, and its cost beside the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from pipestill.evaluation.evaluation import JobCost
from pipestill.evaluation.formats import dollars, milliseconds, number, seconds
from pipestill.methods import METHODS, TEACHER_NAME
from pipestill.reporting.comparisons import Comparison, find
from pipestill.reporting.gap import GapClosed, gap_closed
from pipestill.reporting.study import Experiment, Study

LEVEL = 1.1  # prices of which one is no more than this times the other are the same, as clocks measure them


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
        recommended: what to take; none where there is nothing to choose from, or examples are too few to tell.
    """

    best: Experiment
    leading: list[Experiment]
    beaten: list[Experiment]
    tied: list[Experiment]
    closed: dict[str, GapClosed]
    training: "Training | None"
    recommended: "Recommendation | None"


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


@dataclass(frozen=True)
class Price:
    """What a method takes.

    Attributes:
        dollars: that were paid for what it learns from; none where a price is not known.
        own: seconds of its training and of that of what it was made of, mean over the seeds; 0 where nothing was
            trained, none where that is not known.
        taught: seconds of what its teacher and its annotator did for it, once for all seeds; none where not known.
        processor: whether they are of processor time, or else of wall time.
        query_ms: milliseconds of the model's work for a query; none without a model.
    """

    dollars: float | None
    own: float | None
    taught: float | None
    processor: bool
    query_ms: float | None

    @property
    def seconds(self) -> float | None:
        """Those of the method and of what it learns from, together."""
        return None if self.own is None or self.taught is None else self.own + self.taught

    @property
    def order(self) -> tuple[float, float, float]:
        """By which prices are ordered: dollars, then seconds, then those of a query; what is not known comes last."""
        known = (inf if each is None else each for each in (self.dollars, self.seconds))
        return (*known, self.query_ms or 0.0)

    def is_level(self, cheaper: "Price") -> bool:
        """True if this price differs from a lower one by no more than measuring does."""
        return all(own <= LEVEL * other for own, other in zip(self.order, cheaper.order, strict=True))

    @property
    def short(self) -> str:
        """``22 s + 1 min 28 s for teacher, 3.7 ms a query``."""
        trained = "untrained"
        if self.seconds is None:
            trained = "training not known"
        elif self.seconds:
            trained = f"{seconds(self.own)} + {seconds(self.taught)} for teacher" if self.taught else seconds(self.own)
        asked = f"{milliseconds(self.query_ms)} a query" if self.query_ms else ""
        return ", ".join(filter(None, [dollars(self.dollars) if self.dollars else "", trained, asked]))

    def __str__(self) -> str:
        """``33 s of processor time to train, 2.1 ms a query``."""
        kind = "processor time" if self.processor else "wall time"
        trained = "no training"
        if self.seconds is None:
            trained = "training that is not known"
        elif self.seconds:
            more = f" + {seconds(self.taught)} for what it learns from" if self.taught else ""
            trained = f"{seconds(self.own)} of {kind} to train{more}"
        paid = "a price that is not known" if self.dollars is None else dollars(self.dollars) if self.dollars else ""
        asked = "" if self.query_ms is None else f"{milliseconds(self.query_ms)} a query"
        return ", ".join(filter(None, [paid, trained, asked]))


@dataclass(frozen=True)
class Recommendation:
    """The cheapest method that is not significantly worse than the best; of those of one price, the best.

    Models that are asked in several ways compete once, as they answer best.

    Attributes:
        experiment: the method.
        price: what it takes.
        others: how many methods are not significantly worse than the best, without the best and it.
        lead: what the best is above it; none if it is the best itself.
    """

    experiment: Experiment
    price: Price
    others: int
    lead: Comparison | None

    def sentence(self, study: Study) -> str:
        """The recommendation in words."""
        title, places = study.metric_title(study.primary), study.decimals
        mean = f"{title} {number(self.experiment.mean(study.primary), places)}"
        if self.lead is None:
            level = "the other that is" if self.others == 1 else f"the {self.others} others that are"
            beside = f"no dearer than {level} not" if self.others else "all others are"
            why = f"the best ({mean}), and {beside} significantly worse"
        else:
            doubt = "; no trained method is shown to be better" if self.experiment.is_reference else ""
            why = (
                f"the cheapest that is not significantly worse than the best ({mean}; {self.lead.a.title} is "
                f"{self.lead.amount} ahead{doubt})"
            )
        alone = ", and no teacher" if study.teacher and not self.experiment.learns_from_teacher else ""
        return f"take {self.experiment.title}: {why}. It takes {self.price}{alone}."


def price(study: Study, experiment: Experiment) -> Price:
    """What a method of a study takes; what the training of a model from elsewhere took is not known."""
    cost, key = experiment.evaluation.cost, _clock(study)
    is_ours = experiment.parent or experiment.models in (*METHODS, TEACHER_NAME)
    own = _total([cost.train, cost.parent], key) if is_ours else None
    taught = _total([cost.teacher, cost.annotation and cost.annotation.training], key)
    return Price(cost.money_usd, own, taught, key == "cpu_s", cost.query and cost.query.ms)


def _total(jobs: Sequence[JobCost | None], key: str) -> float | None:
    spent = [getattr(job, key) for job in jobs if job]
    return None if None in spent else sum(spent)


def _clock(study: Study) -> Literal["cpu_s", "wall_s"]:
    """The time that was measured of all training: that of processors, or else wall time."""
    trained = [each.evaluation.cost.train for each in study.experiments if each.evaluation.cost.train]
    return "cpu_s" if all(train.cpu_s is not None for train in trained) else "wall_s"


def _recommend(
    study: Study, best: Experiment, tied: Sequence[Experiment], pairs: Sequence[Comparison]
) -> Recommendation | None:
    """Choose; where prices are level, the better one. The same models compete once: as they answer best."""
    if not study.testable or len(study.ranked) == 1:
        return None
    firsts: dict[str, Experiment] = {}
    for each in study.ranked:
        firsts.setdefault(each.models, each)
    level = [each for each in (best, *tied) if firsts[each.models] is each]
    prices = {each.method: price(study, each) for each in level}
    least = min(prices.values(), key=lambda each: each.order)
    chosen = next(each for each in level if prices[each.method].is_level(least))
    lead = None if chosen is best else find(pairs, best, chosen)
    return Recommendation(chosen, prices[chosen.method], len(tied) - (lead is not None), lead)


def conclude(study: Study, comparisons: Sequence[Comparison]) -> Conclusion:
    """Conclude from the numbers of a study.

    Args:
        study: the study.
        comparisons: its pairs.
    """
    best, *others = study.ranked
    beaten = [other for other in others if find(comparisons, best, other).significant]
    tied = [other for other in others if other not in beaten]
    shares = {floor: gap_closed(study, floor) for floor in ("base", "sft")}
    closed = {floor: each for floor, found in shares.items() for each in found if each.experiment is best}
    leading = [each for each in study.ranked if each.mean(study.primary) == best.mean(study.primary)]
    recommended = _recommend(study, best, tied, comparisons)
    return Conclusion(best, leading, beaten, tied, closed, _training(study), recommended)


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
    key, trained = _clock(study), {each.method: each.evaluation.cost.train for each in study.experiments}
    known = {method: getattr(train, key) for method, train in trained.items() if train}
    return key, {} if None in known.values() else known
