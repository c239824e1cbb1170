"""Methods of a study compared on its primary metric: paired tests, McNemar per seed, Holm within a family.

Each pair is tested once, in one of these families: every trained method against SFT, which was planned; the other
students against the best one; all further pairs. Of compressed students: each against the one that it was made of, and
against the best. So whatever is said of a pair, at any place, is the same.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from pipestill.evaluation.few import Interval
from pipestill.evaluation.formats import TOO_FEW, bracket, number, p_value, plural
from pipestill.evaluation.measured import difference
from pipestill.evaluation.statistics import holm, mcnemar
from pipestill.io.files import atomic_path
from pipestill.methods import BASE
from pipestill.metrics.catalogue import entry_of
from pipestill.reporting.study import Experiment, Study

ALPHA = 0.05
AGAINST_SFT, AGAINST_BEST, FURTHER = "against sft", "against the best", "further pairs"
AGAINST_PARENT, COMPRESSED = "against parent", "compressed against the best"
COLUMNS = (
    "study", "family", "metric", "method_a", "method_b", "mean_a", "mean_b", "difference", "ci95_low", "ci95_high",
    "detectable_difference", "test", "p", "p_holm", "significant", "mcnemar_p", "sentence", "source", "notes",
)  # fmt: skip
Pair = tuple[Experiment, Experiment]


@dataclass(frozen=True)
class Comparison:
    """Method ``a`` against method ``b`` of one study; the difference is a - b, averaged over the seeds of each.

    Attributes:
        family: the comparisons that ``p_holm`` is corrected over.
        ci95: its interval; none where examples are too few to tell.
        detectable: the true difference that such a test, before correction, finds with 80 % power; none where examples
            are too few to tell.
        test: ``bootstrap`` or ``t``; none where examples are too few for any.
        p: of the test, as it is; ``p_holm`` is corrected.
        mcnemar: p-value by pair of seeds ``(seed of a, seed of b)``; empty where answers are not right or wrong.
    """

    study: str
    family: str
    metric: str
    a: Experiment
    b: Experiment
    difference: float
    ci95: Interval | None
    detectable: float | None
    test: str | None
    p: float | None
    p_holm: float | None
    mcnemar: dict[tuple[int, int], float]

    @property
    def significant(self) -> bool:
        """True if the corrected p-value is below 5 %."""
        return self.p_holm is not None and self.p_holm < ALPHA

    @property
    def better(self) -> Experiment:
        """The method that is ahead, significantly or not."""
        return self.a if (self.difference >= 0) != entry_of(self.metric).lower_is_better else self.b

    @property
    def verdict(self) -> str:
        """``better`` or ``worse``, of ``a``, where that is significant; else ``open``."""
        return ("better" if self.better is self.a else "worse") if self.significant else "open"

    def of(self, experiment: Experiment) -> "Comparison":
        """The same, as what one of the two is above the other."""
        if self.a is experiment:
            return self
        ci95 = self.ci95 and (-self.ci95[1], -self.ci95[0])
        mcnemar = {(b, a): p for (a, b), p in self.mcnemar.items()}
        return replace(self, a=self.b, b=self.a, difference=-self.difference, ci95=ci95, mcnemar=mcnemar)

    @property
    def amount(self) -> str:
        """The size of the difference, with its interval, both without the sign of the difference."""
        places, ci95 = entry_of(self.metric).decimals, self.ci95
        if ci95 and self.difference < 0:
            ci95 = -ci95[1], -ci95[0]
        return " ".join(filter(None, [number(abs(self.difference), places), ci95 and bracket(ci95, places)]))

    @property
    def mcnemar_text(self) -> str:
        """``seed 1: 0.012; seed 2: 0.300``; both seeds are named where they differ."""
        return "; ".join(
            f"seed {a if a == b else f'{a} against {b}'}: {p_value(p)}" for (a, b), p in self.mcnemar.items()
        )

    def sentence(self) -> str:
        """The result in words."""
        entry = entry_of(self.metric)
        title, places = entry.title, entry.decimals
        if round(self.difference, places) == 0:
            level = f"difference {number(0, places)} {bracket(self.ci95, places)}" if self.ci95 else self._judgement()
            return f"{self.a.title} and {self.b.title} are level in {title}: {level}."
        side = "above" if self.difference > 0 else "below"
        return f"{self.a.title} is {self.amount} {side} {self.b.title} in {title}: {self._judgement()}."

    def _judgement(self) -> str:
        if self.p_holm is None:
            return f"{plural(self.a.evaluation.n_test, 'test example')}, {TOO_FEW}"
        p = p_value(self.p_holm)
        word = "significant" if self.significant else "not significant"
        return f"{word} (Holm-corrected p {p if p.startswith('<') else f'= {p}'})"

    def row(self) -> dict[str, object]:
        """The row of ``comparisons.csv``."""
        return {
            "study": self.study,
            "family": self.family,
            "metric": self.metric,
            "method_a": self.a.method,
            "method_b": self.b.method,
            "mean_a": f"{self.a.mean(self.metric):.6f}",
            "mean_b": f"{self.b.mean(self.metric):.6f}",
            "difference": f"{self.difference:.6f}",
            **{
                f"ci95_{end}": _cell(value)
                for end, value in zip(("low", "high"), self.ci95 or (None,) * 2, strict=True)
            },
            "detectable_difference": _cell(self.detectable),
            "test": self.test or "",
            "p": _cell(self.p),
            "p_holm": _cell(self.p_holm),
            "significant": TOO_FEW if self.p is None else "yes" if self.significant else "no",
            "mcnemar_p": self.mcnemar_text,
            "sentence": self.sentence(),
            "source": self.a.evaluation.source,
            "notes": " ".join(dict.fromkeys([*self.a.notes, *self.b.notes])),
        }


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def seed_pairs(a: Experiment, b: Experiment) -> list[tuple[int, int]]:
    """The runs that McNemar's test compares: equal seeds; a method of one run meets every run of the other."""
    if len(a.runs) == 1 or len(b.runs) == 1:
        return [(x, y) for x in a.runs for y in b.runs]
    return [(seed, seed) for seed in a.runs if seed in b.runs]


def _mcnemar(a: Experiment, b: Experiment) -> dict[tuple[int, int], float]:
    pairs = {(x, y): (a.runs[x].correct(), b.runs[y].correct()) for x, y in seed_pairs(a, b)}
    return {seeds: mcnemar(*correct) for seeds, correct in pairs.items() if all(each is not None for each in correct)}


def _family(study: Study, name: str, pairs: Sequence[Pair]) -> list[Comparison]:
    metric = study.primary
    found = [difference(study.measured[a.method], study.measured[b.method]) for a, b in pairs]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    return [
        Comparison(
            study=study.name,
            family=name,
            metric=metric,
            a=a,
            b=b,
            difference=a.mean(metric) - b.mean(metric),
            ci95=each.interval,
            detectable=each.detectable,
            test=each.test,
            p=each.p,
            p_holm=None if each.p is None else next(corrected),
            mcnemar=_mcnemar(a, b),
        )
        for (a, b), each in zip(pairs, found, strict=True)
    ]


def compare(study: Study) -> list[Comparison]:
    """Every pair of the study but for compressed students, once: those against SFT that were planned, the other
    students against the best one, and all further pairs, the later one of the study's order against the earlier one."""
    planned, students = against_sft(study), study.ranked
    found = planned + _family(study, AGAINST_BEST, _without(planned, [(each, students[0]) for each in students[1:]]))
    pairs = [(b, a) for a, b in combinations(study.compared, 2)]
    return found + _family(study, FURTHER, _without(found, pairs))


def against_sft(study: Study) -> list[Comparison]:
    """Every other trained method against SFT; empty where there is no SFT, or nothing else was trained."""
    sft = study.sft
    others = [(experiment, sft) for experiment in study.trained if experiment is not sft]
    return _family(study, AGAINST_SFT, others) if sft else []


def against_parents(study: Study) -> list[Comparison]:
    """Every compressed student against the trained one that it was made of, if that is a row of the study."""
    own = [each for each in study.compressed if each.models == each.method and each.parent != BASE]
    pairs = [(each, study.get(each.parent)) for each in own]
    return _family(study, AGAINST_PARENT, [(a, b) for a, b in pairs if b is not None])


def compressed_against(
    study: Study, best: Experiment, others: Sequence[Experiment], known: Sequence[Comparison]
) -> list[Comparison]:
    """Every one of some students against the best of them and the compressed ones, but for ``known`` pairs."""
    return _family(study, COMPRESSED, _without(known, [(each, best) for each in others]))


def _without(known: Sequence[Comparison], pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs that were not compared yet."""
    seen = {frozenset((each.a.method, each.b.method)) for each in known}
    return [(a, b) for a, b in pairs if frozenset((a.method, b.method)) not in seen]


def find(comparisons: Sequence[Comparison], x: Experiment, y: Experiment) -> Comparison:
    """What ``x`` is above ``y``."""
    return next(c for c in comparisons if {c.a.method, c.b.method} == {x.method, y.method}).of(x)


def write_comparisons(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Write ``comparisons.csv``."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(comparison.row() for comparison in comparisons)
