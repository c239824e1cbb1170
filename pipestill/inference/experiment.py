"""The prediction job of an experiment: all of its runs in one process, since starting one costs seconds."""

import os
from pathlib import Path
from typing import Any

from pipestill.config import PredictionSettings
from pipestill.cost import CostMeter
from pipestill.data.null_prompts import null_prompts
from pipestill.files import fresh_directory, write_json
from pipestill.inference.predict import predict_run
from pipestill.inference.row_log import RowLog, state_of
from pipestill.inference.scoring import Scorer, fingerprint, load_run, prepare_hardware
from pipestill.lock import exclusive
from pipestill.records import read_jsonl
from pipestill.tasks import TASKS
from pipestill.versions import versions


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
) -> None:
    """Predict with every run of an experiment.

    Args:
        records_file: cropped records.
        base: directory of the base model.
        runs: model directory by seed; none stands for the untrained base model.
        state: directory that keeps finished scores from one attempt to the next.
        output: directory to write: ``seed_<n>/{predictions.jsonl,calibration.json}``, ``job.json``,
            ``hardware.json``, ``versions.json``, ``cost.json``.
        threads: torch threads.
    """
    task, records = TASKS[settings.task], read_jsonl(records_file)
    plan = prepare_hardware(settings, threads)
    nulls = null_prompts(task, records, settings.null_inputs)
    work = {
        seed: fingerprint(settings, plan, records_file, [base, *([model] if model else [])])
        for seed, model in runs.items()
    }
    with exclusive(state), fresh_directory(output) as directory:
        cost = CostMeter(state_of(state / "cost", work) / "cost.json")
        for number, (seed, model_directory) in enumerate(runs.items(), 1):
            model, tokenizer = load_run(base, model_directory, plan)
            predict_run(
                Scorer(model, tokenizer, task.labels, settings.max_prompt_tokens),
                task,
                records,
                nulls,
                settings.calibration,
                RowLog(state_of(state / f"seed_{seed}", work[seed]) / "scores.jsonl"),
                cost,
                directory / f"seed_{seed}",
                f"run {number}/{len(runs)} (seed {seed})",
            )
        write_json(directory / "job.json", describe_job(settings, output, base, runs))
        write_json(directory / "hardware.json", plan.to_json())
        write_json(directory / "versions.json", versions())
        write_json(directory / "cost.json", cost.total())
