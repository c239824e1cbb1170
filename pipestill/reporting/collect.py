"""Material of the report: the experiments of each study, with their runs on the test examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import read_evaluation
from pipestill.evaluation.runs import check_same_examples
from pipestill.io.seals import made_again
from pipestill.job.halves import half
from pipestill.reporting.study import Experiment, Study, place
from pipestill.tasks import task_of

STALE = 1e-9  # how far a recomputed metric may lie from the one in eval.json


def load_experiment(path: Path) -> Experiment:
    """Read one ``eval.json`` and what its runs made of the test examples.

    Raises:
        UserError: a file is missing or broken, or the runs are not those that were evaluated.
    """
    path = Path(path)
    evaluation = read_evaluation(path)
    task = task_of(evaluation)
    with made_again(path):
        runs = half(task.answers, "score").measured(task, list(evaluation.test_sets), path.parent)
        if list(runs) != evaluation.seeds:
            raise UserError(f"{path.parent} holds other seeds than {path}: evaluate again")
        for entry in evaluation.runs:
            run = runs[entry.seed]
            for name, value in entry.metrics.items():
                if not abs(run.metrics[name].estimate() - value) <= STALE:  # also where it is no number
                    raise UserError(f"{run.path} gives another {name} than {path}: evaluate again")
    return Experiment(path, evaluation, runs)


def beyond(studies: Sequence[Study], paths: Sequence[Path]) -> dict[tuple[str, str], Experiment]:
    """Experiments by study and method: those of ``studies``, and further ones, whose ``eval.json`` lie at ``paths``.

    Raises:
        UserError: as :func:`load_experiment`.
    """
    found = {(own.evaluation.study, own.method): own for own in map(load_experiment, paths)}
    return found | {(study.name, own.method): own for study in studies for own in study.experiments}


def collect(paths: Sequence[Path], titles: Mapping[str, str] | None = None) -> list[Study]:
    """All studies of the evaluations at ``paths``, in the order given; methods in the order of the registry.

    Args:
        paths: ``eval.json`` of every experiment.
        titles: of the studies that have one.

    Raises:
        UserError: as :func:`load_experiment`; or the experiments of a study were not tested on the same examples.
    """
    by_study: dict[str, list[Experiment]] = {}
    for path in paths:
        experiment = load_experiment(path)
        by_study.setdefault(experiment.evaluation.study, []).append(experiment)
    studies = []
    for name, experiments in by_study.items():
        experiments.sort(key=lambda experiment: place(experiment.evaluation))
        check_same_examples(run for experiment in experiments for run in experiment.runs.values())
        studies.append(Study(name, experiments, title=(titles or {}).get(name)))
    return studies
