"""The prediction job of a label-ranking task: scores that survive a kill, then calibration, then predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.cost import CostMeter
from pipestill.files import write_json
from pipestill.inference.calibration import calibrate, calibration_record
from pipestill.inference.ranking import score_labels
from pipestill.inference.row_log import RowLog
from pipestill.models.prompts import encode_label, encode_prompt
from pipestill.progress import Progress
from pipestill.records import Record, of_split, write_jsonl
from pipestill.tasks import Task

PREDICTED_SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Scorer:
    """A model that ranks the labels of a task; what it scores is kept in a :class:`RowLog` as it goes.

    Attributes:
        max_prompt_tokens: longer prompts lose the end of their text.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_prompt_tokens: int

    def score(self, prompts: dict[str, str], log: RowLog, cost: CostMeter, label: str) -> None:
        """Score ``prompts`` (key to text) into ``log``, and what it costs into ``cost``."""
        keys = list(prompts)
        encoded = [encode_prompt(self.tokenizer, prompts[key], self.max_prompt_tokens) for key in keys]
        label_ids = [encode_label(self.tokenizer, name) for name in self.labels]
        done = {index for index, key in enumerate(keys) if key in log.rows}
        progress = Progress(len(keys), "prompts", label, done=len(done))
        for indices, scores in score_labels(self.model, encoded, label_ids, done=done):
            log.append(
                (keys[index], {"raw": list(map(float, raw)), "label_mass": float(mass)})
                for index, raw, mass in zip(indices, scores.mean_log_prob, scores.label_mass, strict=True)
            )
            cost.tokens += sum(len(encoded[index]) for index in indices)
            cost.save()
            progress.update(len(indices))


def predict_run(
    scorer: Scorer,
    task: Task,
    records: list[Record],
    nulls: dict[str, list[str]],
    calibration: str,
    log: RowLog,
    cost: CostMeter,
    directory: Path,
    label: str,
) -> None:
    """Write ``predictions.jsonl`` and ``calibration.json`` of one run to ``directory``.

    Args:
        records: records of the task; those of ``PREDICTED_SPLITS`` are predicted, in order.
        nulls: content-free prompts of each calibration.
        calibration: name of the calibration, or ``auto``.
        log: keeps the scores; a killed job goes on where it was.
        cost: what the job costs so far.
        label: what the progress line says.
    """
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
        calibration,
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
