"""The predictions of one run in a task that ranks labels: scores that survive a kill, then calibration."""

from pathlib import Path
from typing import Any

import numpy as np

from pipestill.data.null_prompts import null_prompts
from pipestill.inference.calibration import calibrate, calibration_record
from pipestill.inference.scoring import Scorer
from pipestill.io.files import write_json
from pipestill.io.records import Record, of_split, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.row_log import RowLog
from pipestill.settings.jobs import PredictionSettings
from pipestill.tasks import TASKS

PREDICTED_SPLITS = ("validation", "test")


def predict_run(
    model: Any,
    tokenizer: Any,
    settings: PredictionSettings,
    records: list[Record],
    log: RowLog,
    cost: CostMeter,
    directory: Path,
    label: str,
) -> None:
    """Write ``predictions.jsonl`` and ``calibration.json`` of one run to ``directory``.

    Args:
        model: a causal language model.
        tokenizer: of the model.
        settings: the task, its calibration and its content-free inputs.
        records: records of the task; those of ``PREDICTED_SPLITS`` are predicted, in order.
        log: keeps the scores; a killed job goes on where it was.
        cost: what the job costs so far.
        label: what the progress line says.
    """
    task = TASKS[settings.task]
    scorer = Scorer(model, tokenizer, task.labels, settings.max_prompt_tokens)
    nulls = null_prompts(task, records, settings.null_inputs)
    wanted = [record for record in records if record["split"] in PREDICTED_SPLITS]
    null_keys = {f"{name} {number}": text for name, texts in nulls.items() for number, text in enumerate(texts)}
    scorer.score(null_keys, log, cost, f"{label}: content-free prompts")
    scorer.score({record["id"]: record["prompt"] for record in wanted}, log, cost, label)

    labels = list(task.labels)
    raw = {key: np.array(row["raw"]) for key, row in log.rows.items()}
    held_out = of_split(wanted, "validation")
    fitted = calibration_record(
        labels,
        np.stack([raw[record["id"]] for record in held_out]),
        [labels.index(record["label"]) for record in held_out],
        {name: np.stack([raw[f"{name} {i}"] for i in range(len(texts))]) for name, texts in nulls.items()},
        settings.calibration,
    )
    prior = fitted["priors"][fitted["chosen"]]
    calibrated = calibrate(np.stack([raw[record["id"]] for record in wanted]), np.array(list(prior.values())))
    rows = [
        {
            "id": record["id"],
            "split": record["split"],
            "label": record["label"],
            "prediction": labels[calibrated.predictions[number]],
            "raw_scores": dict(zip(labels, map(float, raw[record["id"]]), strict=True)),
            "prior": prior,
            "scores": dict(zip(labels, map(float, calibrated.scores[number]), strict=True)),
            "probabilities": dict(zip(labels, map(float, calibrated.probabilities[number]), strict=True)),
            "top2_margin": float(calibrated.margins[number]),
            "label_mass": log.rows[record["id"]]["label_mass"],
        }
        for number, record in enumerate(wanted)
    ]
    write_jsonl(directory / "predictions.jsonl", rows)
    write_json(directory / "calibration.json", fitted)
