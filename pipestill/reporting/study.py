"""A study and its experiments, as the report sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

from pipestill.evaluation.evaluation import Closeness, Evaluation, Summary
from pipestill.evaluation.measured import Measured, measure
from pipestill.evaluation.runs import Run
from pipestill.job.halves import half
from pipestill.methods import BASE, METHODS, SFT, TEACHER_NAME, method_of
from pipestill.metrics.catalogue import entry_of, metric_title
from pipestill.metrics.tables import MetricTable
from pipestill.settings.evaluation import StatisticsConfig
from pipestill.settings.sizes import Size
from pipestill.tasks import Task, task_of


def place(evaluation: Evaluation) -> tuple[int, int]:
    """The place of an experiment in its study: as in the registry, checkpoints, then the teacher, each before its
    variants and the students that were made of its own by compression."""
    method = evaluation.compressed_from or evaluation.variant_of or evaluation.method
    own = [*METHODS].index(method) if method in METHODS else len(METHODS) + (method == TEACHER_NAME)
    return own, 2 if evaluation.compressed_from else int(evaluation.variant_of is not None)


@dataclass(frozen=True)
class Experiment:
    """One row of a study's tables: the content of ``eval.json``, and its runs by seed."""

    path: Path
    evaluation: Evaluation
    runs: dict[int, Run]

    @property
    def method(self) -> str:
        """Name of the method; ``teacher`` for the study's teacher."""
        return self.evaluation.method

    @property
    def models(self) -> str:
        """Name of the method whose models answer, which a variant asks in another way."""
        return self.evaluation.variant_of or self.method

    @property
    def parent(self) -> str | None:
        """Name of the method whose student was compressed, if one was."""
        return self.evaluation.compressed_from

    @property
    def family(self) -> str:
        """Name of the method that it belongs to in tables of all studies."""
        return self.parent or self.models

    @property
    def title(self) -> str:
        """Name of the method in tables."""
        return self.evaluation.method_title

    @property
    def notes(self) -> list[str]:
        """Sentences that every table must show with the experiment."""
        return self.evaluation.notes

    @property
    def is_reference(self) -> bool:
        """True for what students are measured against: the untrained student, the teacher, or no model at all."""
        return self.models in (BASE, TEACHER_NAME) or not method_of(self.models).model

    @property
    def learns_from_teacher(self) -> bool:
        """True for a student of the study's teacher."""
        return self.evaluation.cost.teacher is not None if self.parent else method_of(self.models).teacher != "unused"

    @property
    def closeness(self) -> Closeness | None:
        """Closeness to the teacher on validation answers, where that was measured."""
        return self.evaluation.agreement

    def metric(self, name: str) -> Summary:
        """Mean, sd, interval and values of one metric."""
        return self.evaluation.metrics[name]

    def mean(self, name: str) -> float:
        """Mean over the seeds of one metric."""
        return self.metric(name).mean


@dataclass(frozen=True)
class CurvePoint:
    """One point of the curve of in-context learning.

    Attributes:
        prompt: name of the prompt.
        shots: demonstrations before each question.
        experiment: with both.
    """

    prompt: str
    shots: int
    experiment: Experiment


@dataclass(frozen=True)
class Study:
    """The experiments of one study: the untrained student and what needs no model first, the teacher last.

    Attributes:
        name: of the study.
        experiments: rows of its tables.
        curve: of in-context learning, by prompt, in the order of demonstrations; empty where there is none.
        worth: experiments by the rows that they learn from, few first, by method; SFT's rows have gold outputs. Empty
            where no such curve is asked for.
        sizes: of the models of its rows, by method, where these were measured.
        title: its name for people, where it has one.
    """

    name: str
    experiments: list[Experiment]
    curve: Mapping[str, Sequence[CurvePoint]] = field(default_factory=dict)
    title: str | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)
    worth: Mapping[str, Sequence[Experiment]] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """Its title, with the name that files have: ``Credit risk (creditmix)``."""
        return f"{self.title} ({self.name})" if self.title else self.name

    @property
    def first(self) -> Evaluation:
        """The evaluation of its first experiment, for what all have in common."""
        return self.experiments[0].evaluation

    @property
    def task(self) -> Task:
        """Its task."""
        return task_of(self.first)

    @property
    def show(self) -> ModuleType:
        """The half of its kind of answers that the report asks."""
        return half(self.task.answers, "show")

    @property
    def primary(self) -> str:
        """The metric that decides."""
        return self.first.primary_metric

    @property
    def decimals(self) -> int:
        """Decimals that it is written with."""
        return entry_of(self.primary).decimals

    @property
    def lower_is_better(self) -> bool:
        """True if a low value of the primary metric is a good one."""
        return entry_of(self.primary).lower_is_better

    def metric_title(self, name: str) -> str:
        """Name of one of its metrics in tables."""
        return metric_title(name, self.task.languages)

    @property
    def test_set_metrics(self) -> list[str]:
        """Names of its primary metric on each test set, where there are any."""
        return [name for name in self.first.metrics if name.startswith(f"{self.primary}/")]

    @property
    def metric_names(self) -> list[str]:
        """All of its metrics, the primary one first, then that on each test set."""
        measured = [name for each in self.experiments for name in each.evaluation.metrics]
        return list(dict.fromkeys([self.primary, *self.test_set_metrics, *measured]))

    @property
    def tables(self) -> list[MetricTable]:
        """Its metrics as tables show them, the main table first."""
        return [table.of(self.metric_names) for table in self.task.answers.tables]

    @property
    def columns(self) -> tuple[str, ...]:
        """Metrics of its main table."""
        return self.tables[0].names

    @property
    def bootstrap(self) -> StatisticsConfig:
        """Resampling of its intervals."""
        return self.first.bootstrap

    @cached_property
    def measured(self) -> dict[str, Measured]:
        """The primary metric by method, over the same resampled examples."""
        name = self.primary
        return {
            experiment.method: measure(
                [{name: run.metrics[name]} for run in experiment.runs.values()], self.bootstrap, stream
            )[name]
            for stream, experiment in enumerate([*self.compared, *self.compressed])
        }

    @property
    def testable(self) -> bool:
        """True if its test examples are enough that a test could find a difference."""
        return next(iter(self.measured.values())).testable

    @property
    def synthetic(self) -> bool:
        """True if the data were generated."""
        return any(experiment.evaluation.source == "synthetic" for experiment in self.experiments)

    @property
    def notes(self) -> list[str]:
        """The notes of its experiments, each sentence once."""
        return list(dict.fromkeys(note for experiment in self.experiments for note in experiment.notes))

    def get(self, method: str) -> Experiment | None:
        """The experiment of one method, if it is there."""
        return next((experiment for experiment in self.experiments if experiment.method == method), None)

    @property
    def compared(self) -> list[Experiment]:
        """All but compressed students: what is compared in all pairs."""
        return [experiment for experiment in self.experiments if experiment.parent is None]

    @property
    def compressed(self) -> list[Experiment]:
        """Students that were compressed."""
        return [experiment for experiment in self.experiments if experiment.parent is not None]

    @property
    def base(self) -> Experiment | None:
        """The untrained student, if it is there."""
        return self.get(BASE)

    @property
    def sft(self) -> Experiment | None:
        """The student that was fine-tuned on gold outputs, if it is there."""
        return self.get(SFT)

    @property
    def teacher(self) -> Experiment | None:
        """The teacher, if it is there."""
        return self.get(TEACHER_NAME)

    @property
    def trained(self) -> list[Experiment]:
        """The students that were trained here, in the order of the registry; without compressed ones."""
        return [each for each in self.compared if method_of(each.method).trains and not each.is_reference]

    def is_best(self, experiment: Experiment, name: str) -> bool:
        """True for students with the best mean of a metric, compressed ones aside; false where all are level, or no
        value is better."""
        entry, means = entry_of(name), {each.mean(name) for each in self.compared if not each.is_reference}
        if experiment.is_reference or experiment.parent or not entry.merit or len(means) < 2:
            return False
        return experiment.mean(name) == (min if entry.lower_is_better else max)(means)

    @cached_property
    def ranked(self) -> list[Experiment]:
        """The students, trained or not, best first on the primary metric; without compressed ones."""
        return sorted((each for each in self.compared if each.models != TEACHER_NAME), key=self.rank)

    def rank(self, experiment: Experiment) -> float:
        """What experiments are sorted by, the best first on the primary metric."""
        mean = experiment.mean(self.primary)
        return mean if self.lower_is_better else -mean
