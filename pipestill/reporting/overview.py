"""The first table of the report: all studies and methods on the primary metrics, with a recommendation each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipestill.evaluation.formats import MISSING, TOO_FEW, number, p_value, plural
from pipestill.methods import TEACHER_NAME
from pipestill.reporting.comparisons import Comparison, find
from pipestill.reporting.conclusion import Recommendation
from pipestill.reporting.findings import Findings
from pipestill.reporting.study import Experiment, place
from pipestill.reporting.worth import gold_of, supplies, worth_sentence

Verdict = Literal["better", "worse", "open"]
MARKS = {"better": "▲", "worse": "▼", "open": "", None: ""}
KEY = f"{MARKS['better']} significantly better, {MARKS['worse']} significantly worse than SFT (paired, Holm-corrected)"


@dataclass(frozen=True)
class Cell:
    """One method in one study, or one variant or compressed student of it.

    Attributes:
        experiment: the method.
        value: mean of the primary metric, as it is written.
        verdict: beside SFT; none of SFT itself, or without it.
        comparison: with SFT, if there is one.
        best: whether it is the best student.
        recommended: whether it is recommended.
    """

    experiment: Experiment
    value: str
    verdict: Verdict | None
    comparison: Comparison | None
    best: bool
    recommended: bool

    @property
    def variant(self) -> str:
        """Name of the variant or of the compressed student, if it is one."""
        own = self.experiment
        if own.parent:
            return own.method
        return own.method.removeprefix(f"{own.models}-") if own.evaluation.variant_of else ""

    @property
    def mark(self) -> str:
        """The verdict as a sign."""
        return MARKS[self.verdict]

    @property
    def tip(self) -> str:
        """The comparison in a few words."""
        if self.comparison is None:
            return self.experiment.title
        if self.comparison.p_holm is None:
            return TOO_FEW
        word = "not significantly different from" if self.verdict == "open" else f"significantly {self.verdict} than"
        return f"{word} SFT, p {p_value(self.comparison.p_holm)}"


@dataclass(frozen=True)
class Row:
    """One study.

    Attributes:
        findings: of the study.
        cells: by column, a method with its variants and compressed students; empty for methods that it has not.
        recommendation: in words.
    """

    findings: Findings
    cells: list[list[Cell]]
    recommendation: str

    @property
    def gold(self) -> int | None:
        """Gold outputs that its students learn from, where SFT tells."""
        return gold_of(self.findings.study)

    @property
    def metric(self) -> str:
        """Title of its primary metric."""
        return self.findings.study.metric_title(self.findings.study.primary)


@dataclass(frozen=True)
class Overview:
    """All studies and methods.

    Attributes:
        columns: titles of methods by name: the teacher, then the others in the order of the studies' tables.
        rows: the studies.
    """

    columns: dict[str, str]
    rows: list[Row]

    def markdown(self) -> str:
        """The table, and below it what is recommended."""
        head = ["study", "metric", *self.columns.values()]
        lines = [head, ["---", "---", *["---:"] * len(self.columns)]]
        for row in self.rows:
            lines.append([row.findings.study.heading, row.metric, *map(_written, row.cells)])
        table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        said = [f"- {row.findings.study.heading}: {row.recommendation}" for row in self.rows]
        note = f"Mean over the seeds. Bold: recommended. {KEY}."
        return "\n".join([*table, "", note, "", "Recommended:", "", *said])


def overview(findings: Sequence[Findings]) -> Overview:
    """The table of the studies that ``findings`` are of."""
    every = [each for found in findings for each in found.study.experiments]
    own = [each for each in every if each.family == each.method] or every
    ordered = sorted(own, key=lambda each: (each.models != TEACHER_NAME, place(each.evaluation)))
    columns = {each.family: each.title for each in ordered}
    rows = [Row(found, [_cells(found, method) for method in columns], recommendation(found)) for found in findings]
    return Overview(columns, rows)


def recommendation(findings: Findings) -> str:
    """What to take in one study, in words: with the gold outputs, the prompts and the teacher that it has."""
    study, found = findings.study, findings.conclusion.recommended
    if not found:
        one = len(study.ranked) == 1
        return (
            "one method, so nothing to choose from."
            if one
            else f"{plural(study.first.n_test, 'test example')}, {TOO_FEW}."
        )
    said = ", ".join(filter(None, [supplies(study), found.sentence(study)]))
    return " ".join(filter(None, [said, _beside_sft(findings, found), worth_sentence(study, found.experiment)]))


def _beside_sft(findings: Findings, found: Recommendation) -> str:
    """What SFT is beside a recommended student of the teacher; empty where that is said already."""
    sft, own = findings.study.sft, found.experiment
    if sft is None or own is sft or not own.learns_from_teacher or (found.lead and found.lead.a is sft):
        return ""
    comparison = find(findings.pairs, sft, own)
    where = "ahead" if comparison.better is sft else "behind"
    word = "significantly" if comparison.significant else "not significantly"
    return f"SFT, with the same gold outputs and no teacher, is {comparison.amount} {where}, {word}."


def _cells(findings: Findings, method: str) -> list[Cell]:
    return [_cell(findings, each) for each in findings.study.experiments if each.family == method]


def _cell(findings: Findings, experiment: Experiment) -> Cell:
    study, found = findings.study, findings.conclusion.recommended
    comparison = findings.beside_sft(experiment)
    return Cell(
        experiment=experiment,
        value=number(experiment.mean(study.primary), study.decimals),
        verdict=comparison and comparison.verdict,
        comparison=comparison,
        best=study.is_best(experiment, study.primary),
        recommended=bool(found) and found.experiment is experiment,
    )


def _written(cells: Sequence[Cell]) -> str:
    values = [f"**{cell.value}**" if cell.recommended else cell.value for cell in cells]
    named = [f"{cell.variant} {value}{cell.mark}".lstrip() for cell, value in zip(cells, values, strict=True)]
    return "; ".join(named) or MISSING
