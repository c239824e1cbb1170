"""The prediction job of an experiment: all of its runs in one process, since starting one costs seconds."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipestill.inference.answers import answer_run, rationales
from pipestill.inference.likelihood import write_likelihoods
from pipestill.inference.predict import predict_run
from pipestill.inference.scoring import fingerprint, load_run, prepare_hardware
from pipestill.io.files import fresh_directory, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import of_split, read_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.row_log import RowLog, state_of
from pipestill.job.versions import versions
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS


def describe_job(
    settings: PredictionSettings, output: Path, base: Path, runs: dict[int, Path | None]
) -> dict[str, Any]:
    """The content of ``job.json``, from which predictions by hand are made alike; paths are relative to ``output``."""
    return {
        "settings": settings.model_dump(),
        "base": os.path.relpath(base, output),
        "runs": {str(seed): model and os.path.relpath(model, output) for seed, model in runs.items()},
    }


def predict_experiment(
    settings: PredictionSettings,
    records_file: Path,
    base: Path,
    runs: dict[int, Path | None],
    state: Path,
    output: Path,
    threads: int,
    measure: Callable[[Any, Any], dict[str, Any] | None] | None = None,
) -> None:
    """Predict with every run of an experiment: rank labels, or generate text.

    Args:
        records_file: cropped records.
        base: directory of the base model.
        runs: model directory by seed; none stands for the untrained base model.
        state: directory that keeps finished scores and answers from one attempt to the next.
        output: directory to write: ``seed_<n>/predictions.jsonl``, with ``calibration.json`` of ranked labels and
            ``likelihood.jsonl`` of summaries' references, where there are any; ``job.json``, ``hardware.json``,
            ``versions.json``, ``cost.json``.
        threads: torch threads.
        measure: maps a run's model and tokenizer to what becomes ``seed_<n>/agreement.json``, or to none.
    """
    records, referenced = read_jsonl(records_file), []
    if TASKS[settings.task].metrics == "summaries":
        referenced = [record for record in of_split(records, "test") if record["references"]]
    plan = prepare_hardware(settings, threads)
    work = {
        seed: fingerprint(settings, plan, records_file, [base, *([model] if model else [])])
        for seed, model in runs.items()
    }
    with exclusive(state), fresh_directory(output) as directory:
        cost = CostMeter(state_of(state / "cost", work) / "cost.json")
        for number, (seed, model_directory) in enumerate(runs.items(), 1):
            model, tokenizer = load_run(base, model_directory, plan)
            kept, results = state_of(state / f"seed_{seed}", work[seed]), directory / f"seed_{seed}"
            label = f"run {number}/{len(runs)} (seed {seed})"
            if settings.generation is None:
                predict_run(model, tokenizer, settings, records, RowLog(kept / "scores.jsonl"), cost, results, label)
            else:
                answer_run(model, tokenizer, settings, records, RowLog(kept / "answers.jsonl"), cost, results, label)
            if referenced:
                path = results / "likelihood.jsonl"
                written = rationales(results / "predictions.jsonl")
                write_likelihoods(model, tokenizer, referenced, settings.max_prompt_tokens, path, label, written)
            if measure and (measured := measure(model, tokenizer)):
                write_json(results / "agreement.json", measured)
            del model, tokenizer
            gc.collect()  # a model refers to itself; free its memory before the next is loaded
        write_json(directory / "job.json", describe_job(settings, output, base, runs))
        write_json(directory / "hardware.json", plan.to_json())
        write_json(directory / "versions.json", versions())
        write_json(directory / "cost.json", cost.total())
