"""Cost of an experiment: the costs that its jobs measured, per run, and the size of the model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import AnnotationCost, Cost, JobCost, Number, QueryCost
from pipestill.evaluation.inputs import Inputs
from pipestill.io.files import read_json
from pipestill.io.runs import find_runs
from pipestill.settings.evaluation import Annotator

KEYS = tuple(JobCost.model_fields)
PARAMETERS = ("trainable_parameters", "total_parameters")
USAGE = ("records", "annotated", "calls", "tokens", "cost", "latency_s", "served_models", "served_providers")
PEAKS = ("peak_memory_mb", "gpu_memory_mb")


def read_cost(path: Path) -> JobCost:
    """A job's ``cost.json``.

    Raises:
        UserError: it is not the cost of a job.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not set(KEYS) <= set(content):
        raise UserError(f"{path} is not the cost of a job, it must give {', '.join(KEYS)}: run the job again")
    return JobCost(**{key: content[key] for key in KEYS})


def combined_cost(costs: Sequence[JobCost], combine: Callable[[list[Number]], Number]) -> JobCost | None:
    """Costs of several jobs combined into one, memory the largest of them; ``None`` when there was no job."""
    if not costs:
        return None
    combined: dict[str, Number | None] = {}
    for key in KEYS:
        known = [value for cost in costs if (value := getattr(cost, key)) is not None]
        combined[key] = (max if key in PEAKS else combine)(known) if known else None
    return JobCost(**combined)


def predict_cost(cost: JobCost, n_runs: int) -> JobCost:
    """A run's share of the prediction job, which predicts for all ``n_runs`` runs in one process."""
    shared = {key: value / n_runs for key, value in cost if key not in PEAKS and value is not None}
    return cost.model_copy(update=shared)


def query_cost(runs: Mapping[int, Path]) -> QueryCost | None:
    """The ``queries.json`` of all runs, together.

    Args:
        runs: directory of the predictions of each run, by seed.

    Returns:
        none where no model was asked.

    Raises:
        UserError: only some runs have it, or it is not the cost of queries.
    """
    files = [Path(directory) / "queries.json" for directory in runs.values()]
    if not any(path.is_file() for path in files):
        return None
    found = [_query(path) for path in files]
    means = {name: fmean(getattr(each, name) for each in found) for name in set(QueryCost.model_fields) - {"queries"}}
    return found[0].model_copy(update=means)


def _query(path: Path) -> QueryCost:
    try:
        return QueryCost.model_validate(read_json(path))
    except ValidationError:
        raise UserError(f"{path} is not the cost of a run's queries: predict again") from None


def cost(inputs: Inputs, n_runs: int, annotation: AnnotationCost | None = None) -> Cost:
    """The cost of an experiment of ``n_runs`` runs; only annotation is paid for, so without it ``money_usd`` is 0."""
    sized = (inputs.models or [inputs.base])[0]
    profile = read_json(Path(sized) / "profile.json") if sized else dict.fromkeys(PARAMETERS)
    return Cost(
        train=_of_run(inputs.train_costs, n_runs),
        parent=_of_run(inputs.parent_costs, n_runs),
        teacher=combined_cost([read_cost(path) for path in inputs.teacher_costs], sum),
        predict=predict_cost(read_cost(Path(inputs.predictions) / "cost.json"), n_runs),
        query=query_cost(find_runs(inputs.predictions)),
        annotation=annotation,
        trainable_parameters=profile["trainable_parameters"] if inputs.models or not sized else 0,
        total_parameters=profile["total_parameters"],
        money_usd=annotation.dollars if annotation else 0.0,
    )


def annotation_cost(annotator: Annotator, inputs: Inputs) -> AnnotationCost:
    """The cost of the rationales that an experiment learnt from.

    Raises:
        UserError: a file is missing, or is not what ``annotate`` or ``train`` writes.
    """
    used = read_json(inputs.usage)
    if not isinstance(used, dict) or not set(used) >= set(USAGE):
        raise UserError(f"{inputs.usage} is not the usage of an annotation: run annotate again")
    return AnnotationCost(
        **annotator.model_dump(),
        **{key: used[key] for key in USAGE if key != "cost"},
        dollars=used["cost"]["dollars"],
        training=read_cost(inputs.annotator_cost) if inputs.annotator_cost else None,
    )


def _of_run(costs: Sequence[Path], n_runs: int) -> JobCost | None:
    """Mean over the runs of what the jobs of all of them cost; a run may have several."""
    return combined_cost([read_cost(path) for path in costs], lambda values: sum(values) / n_runs)
