"""One experiment's numbers: the metrics of each run, their mean, spread and interval, cost and provenance."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, sqrt
from pathlib import Path

import numpy as np

from pipestill.errors import UserError
from pipestill.evaluation.closeness import read_closeness
from pipestill.evaluation.cost import annotation_cost, cost
from pipestill.evaluation.evaluation import Evaluation, RunEntry, Summary
from pipestill.evaluation.inputs import Inputs
from pipestill.evaluation.measured import Measured, measure
from pipestill.evaluation.provenance import provenance
from pipestill.evaluation.runs import Run, check_all_answered, read_histories
from pipestill.evaluation.statistics import spread
from pipestill.io.files import read_json
from pipestill.io.records import Json, iterate_jsonl
from pipestill.io.runs import find_runs
from pipestill.io.seals import made_again
from pipestill.job.halves import half
from pipestill.objectives.context import with_gold
from pipestill.objectives.long_answers import LongAnswers
from pipestill.objectives.samples import Kept
from pipestill.settings.evaluation import Described, Experiment, StatisticsConfig
from pipestill.tasks import Task, task_of


def evaluate(experiment: Experiment, inputs: Inputs) -> tuple[Evaluation, dict[int, Run]]:
    """Measure the runs of one experiment.

    Returns:
        The content of ``eval.json``, and the runs by seed.

    Raises:
        UserError: a file is missing or broken, or files are not of the same runs.
    """
    task = task_of(experiment)
    columns = {"bertscore": inputs.bertscore} if inputs.bertscore else {}
    with made_again(inputs.predictions):
        runs: dict[int, Run] = half(task.answers, "score").runs(task, experiment, inputs.predictions, columns)
        check_all_answered(runs.values(), inputs.data[0])
    first, seeds, trained_on = next(iter(runs.values())), list(runs), inputs.data[1:]
    histories = read_histories(inputs.models, seeds)
    annotation = annotation_cost(experiment.annotator, inputs) if inputs.usage else None
    evaluation = Evaluation(
        **{name: getattr(experiment, name) for name in Described.model_fields if name != "notes"},
        notes=[
            *experiment.notes,
            *_learnt(inputs.long_answers),
            *_demonstrations(inputs.predictions),
            *_teacher(task, inputs),
        ],
        primary_metric=task.answers.metrics[0],
        n_train=None
        if inputs.models and not trained_on
        else sum(1 for path in trained_on for _ in iterate_jsonl(path)),
        n_test=len(first.ids),
        test_sets=first.test_sets.sizes,
        seeds=seeds,
        bootstrap=experiment.statistics,
        metrics=summarise(list(runs.values()), experiment.statistics),
        signatures=first.signatures,
        runs=[_entry(seed, run, histories.get(seed, [])) for seed, run in runs.items()],
        agreement=read_closeness(find_runs(inputs.predictions)),
        sentences=None if inputs.base else read_json(inputs.predictions / "job.json")["sentences"],
        cost=cost(inputs, len(runs), annotation),
        provenance=provenance(experiment.config_sha256, inputs),
    )
    return evaluation, runs


def _learnt(path: Path | None) -> list[str]:
    """What to say of answers that were too long to learn, and of several answers of a teacher."""
    if path is None:
        return []
    counted = read_json(path)
    kept = counted.pop("kept", None)
    return LongAnswers.model_validate(counted).notes() + (Kept.model_validate(kept).notes() if kept else [])


def _demonstrations(predictions: Path) -> list[str]:
    """What to say of demonstrations that did not fit."""
    contexts = [read_json(path) for path in sorted(predictions.glob("seed_*/context.json"))]
    if all(each["read"] == each["shots"] for each in contexts):
        return []
    read = sorted({each["read"] for each in contexts})
    fitted = f"{read[0]}" if len(read) == 1 else f"{read[0]} to {read[-1]}"
    return [f"Of {contexts[0]['shots']} demonstrations {fitted} fit beside the longest question, and were read."]


def _teacher(task: Task, inputs: Inputs) -> list[str]:
    """What to say of a teacher that read a context."""
    if not inputs.context_accuracy:
        return []
    found = read_json(inputs.context_accuracy)
    if not task.answers.classes:
        return [
            f"The teacher with its context finds {found['tokens']:.0%} of the tokens of training answers likeliest."
        ]
    said = f"The teacher with its context answers {found['first']:.0%} of {found['rows']} training rows rightly"
    outputs = Counter(row["output"] for row in with_gold(iterate_jsonl(inputs.data[1])))
    majority = max(outputs.values()) / found["rows"]
    if found["first"] - 2 * sqrt(majority * (1 - majority) / found["rows"]) > majority:
        return [f"{said}."]
    return [f"{said}, no better than one and the same label ({majority:.0%}): there is little to learn from it."]


def _entry(seed: int, run: Run, history: list[Json]) -> RunEntry:
    metrics = {name: metric.estimate() for name, metric in run.metrics.items()}
    return RunEntry(seed=seed, n_test=len(run.ids), metrics=metrics, details=run.details(), history=history)


def summarise(runs: Sequence[Run], bootstrap: StatisticsConfig) -> dict[str, Summary]:
    """Each metric over the runs; of generated answers, what training and sampling contribute to its spread too."""
    measured = measure([run.metrics for run in runs], bootstrap)
    return {name: _summary(name, runs, each) for name, each in measured.items()}


def _summary(name: str, runs: Sequence[Run], measured: Measured) -> Summary:
    for run, value in zip(runs, measured.per_seed, strict=True):
        if not isfinite(value):
            raise UserError(f"{run.path}: its {name} is {value}, which no table can show: predict again")
    draws = np.array([run.draws(name) for run in runs])
    training_sd, sampling_sd = spread(draws, runs[0].sampled) if draws.size else (None, None)
    return Summary(
        mean=measured.mean,
        sd=measured.sd,
        ci95=measured.interval,
        per_seed=measured.per_seed,
        training_sd=training_sd,
        sampling_sd=sampling_sd,
    )


def score_rows(runs: Mapping[int, Run]) -> Iterator[Json]:
    """The rows of ``scores.jsonl``: what each answer of each run contributes to the metrics."""
    return ({"seed": seed, **row} for seed, run in runs.items() for row in run.scores())
