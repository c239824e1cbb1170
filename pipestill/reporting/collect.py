"""What the report is made of: the experiments of each study, with what their runs made of the test examples."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.evaluation.labels import load_label_runs
from pipestill.evaluation.runs import check_same_examples
from pipestill.evaluation.texts import load_scores
from pipestill.io.files import read_json
from pipestill.reporting.study import Experiment, Study, place

STALE = 1e-9  # how far a recomputed metric may lie from the one in eval.json


def load_experiment(path: Path) -> Experiment:
    """Read one ``eval.json`` and what its runs made of the test examples: predictions of labels, or scores of texts.

    Raises:
        UserError: a file is missing or broken, or the runs are not those that were evaluated.
    """
    path = Path(path)
    evaluation = read_json(path)
    if not isinstance(evaluation, dict) or not {"study", "method", "kind", "metrics", "runs"} <= set(evaluation):
        raise UserError(f"{path} is not an evaluation: make it again")
    if evaluation["kind"] == "text":
        source = path.parent / "scores.jsonl"
        runs = load_scores(source)
    else:
        source = path.parent / "predictions"
        runs = load_label_runs(source, evaluation["runs"][0]["confusion"]["labels"])
    measured = {run["seed"]: run["metrics"] for run in evaluation["runs"]}
    if set(runs) != set(measured):
        raise UserError(f"{source} holds other seeds than {path}: evaluate again")
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
        experiments.sort(key=lambda experiment: place(experiment.method))
        check_same_examples([run for experiment in experiments for run in experiment.runs.values()])
        studies.append(Study(name, experiments))
    return studies
