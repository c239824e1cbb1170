"""Report on studies of code: what became of answers, which problems are solved, and what held programs in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipestill.answers.code import CodeOptions
from pipestill.answers.code.entry import CodeDetails, details_of
from pipestill.answers.code.extraction import code_of
from pipestill.io.records import Json
from pipestill.reporting.blocks import Shown, code, line_differences, note
from pipestill.reporting.figures.metrics import TEST_METRICS, dots
from pipestill.reporting.panels import Figure, Panel
from pipestill.reporting.study import Experiment, Study

SHOWN = 12  # outcomes of a table; the others are counted together
OTHERS = "others"


@dataclass(frozen=True)
class FamilyRow:
    """One part of the test sets.

    Attributes:
        title: its name.
        problems: how many there are.
        shares: of the answers that pass, by method.
    """

    title: str
    problems: int
    shares: Sequence[float]


def outcome_rows(study: Study) -> list[tuple[str, list[float]]]:
    """Outcomes and the share of each among the answers of each method, all runs together; the frequent ones first."""
    counts = [Counter(_together(each)) for each in study.experiments]
    names = [name for name, _ in sum(counts, Counter()).most_common()]
    rows = [(name, [count[name] / count.total() for count in counts]) for name in names[:SHOWN]]
    rest = names[SHOWN:]
    others = [sum(count[name] for name in rest) / count.total() for count in counts]
    return [*rows, (OTHERS, others)] if rest else rows


def family_rows(study: Study) -> list[FamilyRow]:
    """Parts of the test sets, and how many answers to them pass; none where problems have no parts."""
    by_method = [_families(each) for each in study.experiments]
    rows = []
    for place, (problems, _, _) in by_method[0].items():
        shares = [passed / answers for _, answers, passed in (found[place] for found in by_method)]
        rows.append(FamilyRow(", ".join(filter(None, place)), problems, shares))
    return rows if any(subset for _, subset in by_method[0]) else []


def example(row: Json, scores: Json) -> Shown:
    """The code with its differences to the reference, and what became of it in the tests of its problem."""
    passed = scores["outcome"] == "passed"
    said = note("tests passed" if passed else f"tests: {scores['outcome']}", "good" if passed else "bad")
    reference = row["references"][0]
    return Shown([said, line_differences(code_of(row["prediction"]), reference)], [code(reference)])


def warnings(study: Study) -> list[str]:
    """Answers that were not judged in the same sandbox."""
    signatures = dict.fromkeys(each.evaluation.signatures["sandbox"] for each in study.experiments)
    if len(signatures) == 1:
        return []
    return [f"Code was not run in the same sandbox for all methods ({' and '.join(signatures)}): evaluate them again."]


def _details(experiment: Experiment) -> list[CodeDetails]:
    return [details_of(run) for run in experiment.evaluation.runs]


def _together(experiment: Experiment) -> dict[str, int]:
    return dict(sum((Counter(run.outcomes) for run in _details(experiment)), Counter()))


def _families(experiment: Experiment) -> dict[tuple[str | None, str | None], tuple[int, int, int]]:
    """Problems, answers and passing answers of all runs by part of the test sets."""
    found: dict[tuple[str | None, str | None], tuple[int, int, int]] = {}
    for run in _details(experiment):
        for each in run.families:
            _, answers, passed = found.get((each.test_set, each.subset), (0, 0, 0))
            found[each.test_set, each.subset] = each.problems, answers + each.answers, passed + each.passed
    return found


def _metrics(study: Study) -> str:
    return dots(study, study.experiments, study.columns)


def _view(study: Study) -> Json:
    signature = study.first.signatures["sandbox"]
    (_, measures), *limits = (part.split(":") for part in signature.split("|"))
    return {
        "outcomes": outcome_rows(study),
        "families": family_rows(study),
        "measures": measures.replace(",", ", "),
        "limits": ", ".join(f"{name} {limit}" for name, limit in limits),
        "planned": [
            each.title
            for each in study.experiments
            if CodeOptions.model_validate(each.evaluation.answers).plan_then_code
        ],
    }


PANELS = (Panel("results", "code.html.j2", _view),)
FIGURES = {
    "metrics": Figure(_metrics, TEST_METRICS),
}
MEASURED = "code_measured.html.j2"
SCORE = None  # what single answers are scored by: the metric that decides
OVERALL = "mean of the sets"  # what a metric of several test sets is of
