"""What a tree of results holds: the experiments that its configuration plans, and what was made of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import Evaluation, JobCost, read_evaluation
from pipestill.evaluation.formats import MISSING, bracket, dollars, megabytes, number, plural, seconds
from pipestill.io.records import Json
from pipestill.metrics.catalogue import entry_of, metric_title
from pipestill.plan.check import check
from pipestill.plan.experiments import Experiments
from pipestill.plan.files import read_file
from pipestill.tasks import task_of

EVALUATION = "eval.json"


@dataclass(frozen=True)
class Entry:
    """An experiment in a list.

    Attributes:
        study: its study.
        method: its method.
        state: what is done, in words.
        evaluation: its numbers, where there are some.
    """

    study: str
    method: str
    state: str
    evaluation: Evaluation | None

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.study}_{self.method}"

    @property
    def measured(self) -> tuple[str, str, str]:
        """The primary metric, its mean with the 95 % interval, and the time that one training took."""
        if self.evaluation is None:
            return (MISSING, MISSING, MISSING)
        name = self.evaluation.primary_metric
        summary, places = self.evaluation.metrics[name], entry_of(name).decimals
        train = self.evaluation.cost.train
        mean = f"{number(summary.mean, places)} {bracket(summary.ci95, places)}"
        return (metric_title(name), mean, seconds(train.wall_s) if train else MISSING)

    def row(self) -> Json:
        """It as JSON."""
        own = {"experiment": self.name, "study": self.study, "method": self.method, "state": self.state}
        if self.evaluation is None:
            return own | dict.fromkeys(("metric", "mean", "ci95", "seeds", "train"))
        name, train = self.evaluation.primary_metric, self.evaluation.cost.train
        summary = self.evaluation.metrics[name]
        numbers = {"metric": name, "mean": summary.mean, "ci95": summary.ci95, "seeds": self.evaluation.seeds}
        return own | numbers | {"train": train and train.model_dump()}


@dataclass(frozen=True)
class Shown:
    """An experiment in full.

    Attributes:
        evaluation: its numbers.
        directory: of it.
    """

    evaluation: Evaluation
    directory: Path

    @property
    def summary(self) -> str:
        """What it is, in two lines."""
        found = self.evaluation
        models = f"student {found.student or MISSING}, teacher {found.teacher or MISSING}"
        counts = {"training row": found.n_train, "test example": found.n_test, "seed": len(found.seeds)}
        counted = ", ".join(plural(n, noun) for noun, n in counts.items() if n is not None)
        return f"{found.experiment}: {found.method_title}, task {found.task}, {models}\n{counted}"

    @property
    def metrics(self) -> Iterator[tuple[str, ...]]:
        """Title, mean, interval, spread and single values of every metric, the primary one first."""
        languages = task_of(self.evaluation).languages
        for name in sorted(self.evaluation.metrics, key=lambda name: name != self.evaluation.primary_metric):
            summary, places = self.evaluation.metrics[name], entry_of(name).decimals
            own = (number(summary.mean, places), bracket(summary.ci95, places), number(summary.sd, places))
            yield metric_title(name, languages), *own, ", ".join(number(each, places) for each in summary.per_seed)

    @property
    def costs(self) -> list[tuple[str, ...]]:
        """What training, the teacher's work and predicting took."""
        cost = self.evaluation.cost
        own = "compression, each seed" if self.evaluation.compressed_from else "training, each seed"
        jobs = {
            "training what was compressed, each seed": cost.parent,
            own: cost.train,
            "teacher, once": cost.teacher,
            "predicting, each seed": cost.predict,
        }
        rows = [(title, *_cost(job)) for title, job in jobs.items() if job]
        if cost.annotation:
            rows.append(("annotation, once", dollars(cost.annotation.dollars), MISSING, MISSING))
        return rows

    @property
    def files(self) -> Mapping[str, str]:
        """What comes from each file, by its path."""
        runs = [f"seed_{seed}" for seed in self.evaluation.seeds]
        known = {
            EVALUATION: "every number above, with its origin",
            "scores.jsonl": "metrics of each answer",
            **{f"predictions/{run}/predictions.jsonl": f"answers of {run}" for run in runs},
            **{f"{run}/cost.json": f"what training {run} took" for run in runs},
            "predictions/cost.json": "what predicting took",
            "README.md": "model card",
        }
        own = {str(self.directory / name): said for name, said in known.items() if (self.directory / name).is_file()}
        return own | dict.fromkeys(self.evaluation.provenance.data_sha256, "data")

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        synthetic = ["trained and tested on synthetic data"] if self.evaluation.source == "synthetic" else []
        return [*synthetic, *self.evaluation.notes]

    def row(self) -> Json:
        """It as JSON."""
        described = {"experiment", "study", "method", "task", "student", "teacher"}
        parts = self.evaluation.model_dump(
            mode="json", include=described | {"primary_metric", "seeds", "metrics", "cost"}
        )
        return {**parts, "files": self.files, "notes": self.notes}


def inventory(results: Path) -> list[Entry]:
    """The experiments that the configuration of a tree plans, then others that were evaluated there.

    Raises:
        UserError: there is no such tree, or a file in it is broken.
    """
    config = results / "config.yaml"
    if not results.is_dir():
        raise UserError(f"{results} does not exist: name a directory of results with `--results`, or make it first")
    plan = Experiments(check(read_file(config))) if config.is_file() else None
    planned = {f"{study}_{method}": (study, method) for study, method in plan.experiments} if plan else {}
    entries = [_entry(results / name, *each, _trainings(plan, *each)) for name, each in planned.items()]
    others = sorted({path.parent for path in results.glob(f"*/{EVALUATION}")} - {results / name for name in planned})
    return [*entries, *(_entry(path, *path.name.rsplit("_", 1), 0) for path in others)]


def shown(name: str, results: Path) -> Shown:
    """The experiment ``name``.

    Raises:
        UserError: it is not evaluated, or its file is broken.
    """
    path = results / name / EVALUATION
    if not path.is_file():
        known = ", ".join(sorted(each.parent.name for each in results.glob(f"*/{EVALUATION}"))) or "none yet"
        raise UserError(f"`{name}` is no experiment that was evaluated under {results} (there are: {known})")
    return Shown(read_evaluation(path), path.parent)


def _trainings(plan: Experiments, study: str, method: str) -> int:
    """Runs of an experiment that are trained for it."""
    return len(plan.seeds(study, method)) if plan.entry(study, method).trains else 0


def _entry(directory: Path, study: str, method: str, trainings: int) -> Entry:
    path = directory / EVALUATION
    if path.is_file():
        evaluation = read_evaluation(path)
        return Entry(study, method, plural(len(evaluation.seeds), "seed"), evaluation)
    if (directory / "predictions").is_dir():
        return Entry(study, method, "not evaluated", None)
    trained = len(list(directory.glob("seed_*/model")))
    return Entry(study, method, f"{trained} of {trainings} trained" if trainings and trained else "nothing", None)


def _cost(job: JobCost) -> tuple[str, str, str]:
    return seconds(job.wall_s), seconds(job.cpu_s), megabytes(job.peak_memory_mb)
