"""The content of ``eval.json``: the numbers of an experiment, what they cost and what they come from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipestill.evaluation.agreement import read_agreement
from pipestill.evaluation.cost import annotation_cost, cost
from pipestill.evaluation.experiment import evaluate, load_runs
from pipestill.evaluation.provenance import provenance
from pipestill.evaluation.runs import Run, find_runs, read_histories
from pipestill.evaluation.statistics import Bootstrap
from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl


def evaluation_record(
    description: Mapping[str, Any],
    predictions: Path,
    base: Path | None,
    data: Sequence[Path],
    models: Sequence[Path] = (),
    train_costs: Sequence[Path] = (),
    teacher_costs: Sequence[Path] = (),
    bertscore: Path | None = None,
    usage: Path | None = None,
    annotator_cost: Path | None = None,
) -> tuple[dict[str, Any], dict[int, Run]]:
    """Measure the runs of one experiment.

    Args:
        description: what :func:`~pipestill.evaluation.experiment.evaluate` asks for, and ``labels``, ``test_sets``,
            ``config_sha256``, ``settings.statistics`` and, where there is ``usage``, the ``annotator``.
        predictions: directory of the predictions of all runs.
        base: directory of the base model; none where answers are sentences of the documents.
        data: the records, then the training files if any.
        models: model directory of each run, none for an untrained model; what one without training files was trained
            on is not known.
        train_costs: ``cost.json`` of the training job of each run.
        teacher_costs: the same of the jobs in which the teacher made what the runs learn from.
        bertscore: file of BERTScores, where they were computed.
        usage: ``usage.json`` of the annotation that the runs learnt from, if they did.
        annotator_cost: ``cost.json`` of the training of the annotator, where it was trained here.

    Returns:
        The content of ``eval.json``, and the runs by seed.

    Raises:
        UserError: a file is missing or broken, or files are not of the same runs.
    """
    statistics = description["settings"]["statistics"]
    bootstrap = Bootstrap(statistics["resamples"], statistics["seed"])
    runs = load_runs(description, predictions, bertscore)
    annotation = annotation_cost(description["annotator"], usage, annotator_cost) if usage else None
    record = {
        **evaluate(description, runs, bootstrap, read_histories(models, list(runs))),
        "agreement": read_agreement(find_runs(predictions)),
        "sentences": None if base else read_json(predictions / "job.json")["sentences"],
        "n_train": None if models and not data[1:] else sum(len(read_jsonl(path)) for path in data[1:]),
        "cost": cost(train_costs, teacher_costs, predictions, len(runs), base, models, annotation),
        "provenance": provenance(description["config_sha256"], data, [*([base] if base else []), *models], predictions),
    }
    return record, runs
