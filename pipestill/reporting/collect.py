"""What the report is made of: the experiments of each study, with the predictions of their runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.evaluation.experiment import Run, check_same_examples, load_runs
from pipestill.evaluation.formats import LOWER_IS_BETTER
from pipestill.evaluation.statistics import Bootstrap
from pipestill.files import read_json
from pipestill.methods import METHODS, method_of

ORDER = (*METHODS, "teacher")  # of a study's experiments
STALE = 1e-9  # how far a recomputed metric may lie from the one in eval.json


@dataclass(frozen=True)
class Experiment:
    """One row of a study's tables: the content of ``eval.json``, and its runs by seed."""

    path: Path
    evaluation: dict[str, Any]
    runs: dict[int, Run]

    @property
    def method(self) -> str:
        """Name of the method; ``teacher`` for the study's teacher."""
        return self.evaluation["method"]

    @property
    def title(self) -> str:
        """What tables call the method."""
        return method_of(self.method).title

    @property
    def notes(self) -> list[str]:
        """Sentences that every table must show with the experiment."""
        return self.evaluation["notes"]

    @property
    def is_reference(self) -> bool:
        """Whether it is what students are measured against: the untrained student, or the teacher."""
        return self.method in ("base", "teacher")

    def metric(self, name: str) -> dict[str, Any]:
        """Mean, sd, interval and values of one metric."""
        return self.evaluation["metrics"][name]

    def mean(self, name: str) -> float:
        """Mean over the seeds of one metric."""
        return self.metric(name)["mean"]


@dataclass(frozen=True)
class Study:
    """The experiments of one study, the untrained student first and the teacher last."""

    name: str
    experiments: list[Experiment]

    @property
    def primary(self) -> str:
        """The metric that decides."""
        return self.experiments[0].evaluation["primary_metric"]

    @property
    def bootstrap(self) -> Bootstrap:
        """How its intervals were made."""
        return Bootstrap(**self.experiments[0].evaluation["bootstrap"])

    @property
    def synthetic(self) -> bool:
        """Whether the data were generated."""
        return any(experiment.evaluation["source"] == "synthetic" for experiment in self.experiments)

    @property
    def notes(self) -> list[str]:
        """The notes of its experiments, each sentence once."""
        return list(dict.fromkeys(note for experiment in self.experiments for note in experiment.notes))

    def get(self, method: str) -> Experiment | None:
        """The experiment of one method, if it is there."""
        return next((experiment for experiment in self.experiments if experiment.method == method), None)

    @cached_property
    def ranked(self) -> list[Experiment]:
        """The students, trained or not, best first on the primary metric."""
        students = [experiment for experiment in self.experiments if experiment.method != "teacher"]
        higher_first = self.primary not in LOWER_IS_BETTER
        return sorted(students, key=lambda experiment: experiment.mean(self.primary), reverse=higher_first)


def load_experiment(path: Path) -> Experiment:
    """Read one ``eval.json`` and, beside it, the predictions of its runs.

    Raises:
        UserError: a file is missing or broken, or the predictions are not those that were evaluated.
    """
    path = Path(path)
    evaluation = read_json(path)
    if not isinstance(evaluation, dict) or not {"study", "method", "metrics", "runs"} <= set(evaluation):
        raise UserError(f"{path} is not an evaluation: make it again")
    if evaluation["method"] not in ORDER:
        raise UserError(f"{path}: there is no method {evaluation['method']!r}; the methods are {', '.join(ORDER)}")
    predictions = path.parent / "predictions"
    runs = load_runs(predictions, evaluation["runs"][0]["confusion"]["labels"])
    measured = {run["seed"]: run["metrics"] for run in evaluation["runs"]}
    if set(runs) != set(measured):
        raise UserError(f"{predictions} holds other seeds than {path}: evaluate again")
    for seed, metrics in measured.items():
        for name, value in metrics.items():
            if abs(runs[seed].metrics[name].estimate() - value) > STALE:
                raise UserError(f"{runs[seed].path} gives another {name} than {path}: evaluate again")
    return Experiment(path, evaluation, runs)


def collect(paths: Sequence[Path]) -> list[Study]:
    """All studies of the evaluations at ``paths``, in the order given; methods in the order of the registry.

    Raises:
        UserError: as :func:`load_experiment`; or the experiments of a study were not tested on the same examples.
    """
    by_study: dict[str, list[Experiment]] = {}
    for path in paths:
        experiment = load_experiment(path)
        by_study.setdefault(experiment.evaluation["study"], []).append(experiment)
    studies = []
    for name, experiments in by_study.items():
        experiments.sort(key=lambda experiment: ORDER.index(experiment.method))
        check_same_examples([run for experiment in experiments for run in experiment.runs.values()])
        studies.append(Study(name, experiments))
    return studies
