"""The prediction job of an experiment: all of its runs in one process, since starting one costs seconds."""

from pathlib import Path
from typing import Any

import torch

from pipestill.config import PredictionSettings
from pipestill.cost import CostMeter
from pipestill.data.null_prompts import null_prompts
from pipestill.files import SHA256SUMS, fresh_directory, sha256, write_json
from pipestill.inference.predict import Scorer, predict_run
from pipestill.inference.row_log import RowLog, state_of
from pipestill.lock import exclusive
from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.libraries import silence_libraries
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.records import read_jsonl
from pipestill.tasks import TASKS
from pipestill.versions import versions


def prepare_hardware(settings: PredictionSettings, threads: int) -> HardwarePlan:
    """Plan as the runs were trained, and set torch up accordingly."""
    plan = plan_here(settings.hardware, settings.adaptation, threads)
    apply(plan)
    return plan


def fingerprint(settings: PredictionSettings, plan: HardwarePlan, data: Path, models: list[Path]) -> dict[str, Any]:
    """What defines predictions; threads are left out, for they change no more than rounding."""
    return {
        "settings": settings.model_dump(),
        "hardware": [plan.device, plan.precision, plan.quantization],
        "data": sha256(data),
        "models": [sha256(model / SHA256SUMS) for model in models],
        "torch": torch.__version__,
    }


def load_run(base: Path, model: Path | None, plan: HardwarePlan) -> tuple[Any, Any]:
    """Model and tokenizer of a trained run, or of the base model when ``model`` is none."""
    silence_libraries()
    loaded = load_base_model(base, plan) if model is None else load_trained_model(model, base, plan)
    return loaded.eval(), load_tokenizer(base if model is None else model)


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
        output: directory to write: ``seed_<n>/{predictions.jsonl,calibration.json}``, ``hardware.json``,
            ``versions.json``, ``cost.json``.
        threads: torch threads.
    """
    task, records = TASKS[settings.task], read_jsonl(records_file)
    plan = prepare_hardware(settings, threads)
    nulls = null_prompts(task, records, settings.null_inputs)
    models = [base, *filter(None, runs.values())]
    with exclusive(state), fresh_directory(output) as directory:
        kept = state_of(state, fingerprint(settings, plan, records_file, models))
        cost = CostMeter(kept / "cost.json")
        for number, (seed, model_directory) in enumerate(runs.items(), 1):
            model, tokenizer = load_run(base, model_directory, plan)
            predict_run(
                Scorer(model, tokenizer, task.labels, settings.max_prompt_tokens),
                task,
                records,
                nulls,
                settings.calibration,
                RowLog(kept / f"seed_{seed}.jsonl"),
                cost,
                directory / f"seed_{seed}",
                f"run {number}/{len(runs)} (seed {seed})",
            )
        write_json(directory / "hardware.json", plan.to_json())
        write_json(directory / "versions.json", versions())
        write_json(directory / "cost.json", cost.total())
