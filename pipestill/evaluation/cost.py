"""What an experiment cost: the costs that its jobs measured themselves, per run, and how large the model is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import read_json

KEYS = ("wall_s", "cpu_s", "peak_memory_mb", "gpu_memory_mb", "tokens")
PARAMETERS = ("trainable_parameters", "total_parameters")
USAGE = {"records", "annotated", "calls", "tokens", "cost", "latency_s", "served_models", "served_providers"}
PEAKS = ("peak_memory_mb", "gpu_memory_mb")


def read_cost(path: Path) -> dict[str, float | None]:
    """A job's ``cost.json``: seconds, MB (10^6 bytes) and tokens; ``None`` for what the job could not measure."""
    content = read_json(path)
    if not isinstance(content, dict) or not set(KEYS) <= set(content):
        raise UserError(f"{path} is not the cost of a job, it must give {', '.join(KEYS)}: run the job again")
    return content


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def combined_cost(
    costs: Sequence[Mapping[str, float | None]], combine: Callable[[list[float]], float]
) -> dict[str, float | None] | None:
    """Costs of several jobs combined into one, memory the largest of them; ``None`` when there was no job."""
    if not costs:
        return None
    combined: dict[str, float | None] = {}
    for key in KEYS:
        known = [cost[key] for cost in costs if cost[key] is not None]
        combined[key] = (max if key in PEAKS else combine)(known) if known else None
    return combined


def predict_cost(cost: Mapping[str, float | None], n_runs: int) -> dict[str, float | None]:
    """A run's share of the prediction job, which predicts for all ``n_runs`` runs in one process."""
    return {key: cost[key] if key in PEAKS or cost[key] is None else cost[key] / n_runs for key in KEYS}


def cost(
    train_costs: Sequence[Path],
    teacher_costs: Sequence[Path],
    predictions: Path,
    n_runs: int,
    base: Path | None,
    models: Sequence[Path],
    annotation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The ``cost`` of ``eval.json``; what is paid for is annotation alone, so without it ``money_usd`` is 0.

    Args:
        train_costs: ``cost.json`` of the training job of each run; their mean is ``train``.
        teacher_costs: the same of what the teacher did for the students; the sum, spent once for all, is ``teacher``.
        predictions: directory of the experiment's predictions, with their ``cost.json``.
        n_runs: how many runs it holds.
        base: directory of the base model; none without a model, so there are no parameters.
        models: directory of each trained run, none for an untrained model.
        annotation: see :func:`annotation_cost`.
    """
    sized = (models or [base])[0]
    profile = read_json(Path(sized) / "profile.json") if sized else dict.fromkeys(PARAMETERS)
    return {
        "train": combined_cost([read_cost(path) for path in train_costs], _mean),
        "teacher": combined_cost([read_cost(path) for path in teacher_costs], sum),
        "predict": predict_cost(read_cost(Path(predictions) / "cost.json"), n_runs),
        "annotation": annotation,
        "trainable_parameters": profile["trainable_parameters"] if models or not sized else 0,
        "total_parameters": profile["total_parameters"],
        "money_usd": annotation["dollars"] if annotation else 0.0,
    }


def annotation_cost(annotator: Mapping[str, Any], usage: Path, training: Path | None) -> dict[str, Any]:
    """Who wrote the rationales that an experiment learnt from, and what they took, once for all runs and methods.

    Args:
        annotator: ``provider`` and ``model``, as the configuration names them.
        usage: ``usage.json`` of the annotation.
        training: ``cost.json`` of the annotator's training, where it was trained here.

    Returns:
        The ``cost.annotation`` of ``eval.json``; ``dollars`` is ``None`` where a price is not known.

    Raises:
        UserError: a file is missing, or is not what ``annotate`` or ``train`` writes.
    """
    used = read_json(usage)
    if not isinstance(used, dict) or not set(used) >= USAGE:
        raise UserError(f"{usage} is not the usage of an annotation: run annotate again")
    return {
        **annotator,
        **{key: used[key] for key in sorted(USAGE - {"cost"})},
        "dollars": used["cost"]["dollars"],
        "training": read_cost(training) if training else None,
    }
