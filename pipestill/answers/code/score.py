"""Runs that generate code: every answer is run with the tests of its problem, once, here."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pipestill.answers.code.entry import CodeDetails, Family
from pipestill.answers.code.execution import Judge, outcome
from pipestill.answers.code.extraction import code_of
from pipestill.answers.code.problem import Problem, read_problems
from pipestill.answers.generated.score import GeneratedRun, measured, runs_of
from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.metrics.code import same_code
from pipestill.metrics.measures import Scored
from pipestill.settings.evaluation import Experiment
from pipestill.tasks.base import Task

__all__ = ["measured", "runs"]


@dataclass(frozen=True)
class CodeRun(GeneratedRun):
    """A run that generates code.

    Attributes:
        outcomes: what became of each answer, by example and sampling seed.
        families: parts of the test sets.
    """

    outcomes: Mapping[tuple[str, int | None], str] = field(default_factory=dict)
    families: Sequence[Family] = ()

    def details(self) -> Json:
        """Those of generated answers, and what became of them."""
        counts = Counter(self.outcomes.values()).most_common()
        return super().details() | CodeDetails(outcomes=dict(counts), families=list(self.families)).model_dump()

    def scores(self) -> Iterator[Json]:
        """Those of generated answers, and the ``outcome`` of each."""
        for row in super().scores():
            yield row | {"outcome": self.outcomes[row["id"], row["sampling_seed"]]}


def runs(task: Task, experiment: Experiment, predictions: Path, columns: Mapping[str, Path]) -> dict[int, CodeRun]:
    """The runs of an experiment by seed, from ``predictions/seed_<n>/``.

    Args:
        task: of the experiment.
        experiment: names its test sets and the options of its answers.
        predictions: directory of the predictions of all runs, each with ``tests.jsonl``.
        columns: what other jobs measured of each answer; nothing is, of code.

    Raises:
        UserError: there is no run, a file is missing or broken, the runs were tested on different examples, or a
            required measure of the sandbox is not in force.
    """
    options, facts = task.answers.options(experiment.answers), {}
    with closing(Judge(options.execution)) as judge:

        def score(seed: int, directory: Path, rows: Sequence[Json]) -> Scored:
            problems = _problems(directory / "tests.jsonl", rows)
            codes = [code_of(row["prediction"]) for row in rows]
            results = judge(zip(problems, codes, strict=True))
            passed = [float(result.passed) for result in results]
            keys = [(row["id"], row["sampling_seed"]) for row in rows]
            outcomes = dict(zip(keys, map(outcome, results), strict=True))
            facts[seed] = {"outcomes": outcomes, "families": _families(rows, passed)}
            return Scored(
                {
                    **{f"pass_at_{k}": passed for k in sorted(options.pass_at)},
                    "compile_rate": [float(result.compiles) for result in results],
                    "exact_match": [same_code(code, row["references"]) for code, row in zip(codes, rows, strict=True)],
                },
                {"sandbox": judge.signature},
            )

        found = runs_of(predictions, experiment.test_sets, score)
    return {seed: CodeRun(**vars(run), **facts[seed]) for seed, run in found.items()}


def _problems(path: Path, rows: Sequence[Json]) -> list[Problem]:
    """The problem of each row.

    Raises:
        UserError: the file lacks one: it is of other predictions.
    """
    found = read_problems(path)
    if missing := [row["id"] for row in rows if row["id"] not in found]:
        raise UserError(f"{path} has no tests for {missing[0]!r}: predict again")
    return [found[row["id"]] for row in rows]


def _families(rows: Sequence[Json], passed: Sequence[float]) -> list[Family]:
    """Parts of the test sets, in the order of the rows."""
    groups: dict[tuple[str | None, str | None], list[tuple[str, float]]] = {}
    for row, each in zip(rows, passed, strict=True):
        groups.setdefault((row["test_set"], row.get("subset")), []).append((row["id"], each))
    return [
        Family(
            test_set=test_set,
            subset=subset,
            problems=len({name for name, _ in group}),
            answers=len(group),
            passed=int(sum(each for _, each in group)),
        )
        for (test_set, subset), group in sorted(groups.items(), key=str)
    ]
