"""A task's primary metric on generated answers to validation prompts, which `select: metric` chooses by."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, sha256
from pipestill.io.records import Record, read_jsonl
from pipestill.metrics import METRICS
from pipestill.settings.train import TrainingSettings
from pipestill.tasks import TASKS
from pipestill.training.candidates import Candidates


def check_selection(settings: TrainingSettings) -> None:
    """Refuse a choice by a metric that is not computed on generated answers.

    Raises:
        UserError: with the way out.
    """
    if settings.training.select == "metric" and (settings.task is None or TASKS[settings.task].ranks_labels):
        raise UserError("`training.select: metric` is for tasks whose answers are generated: use `loss`")


def selection_prompts(validation: Path, limit: int | None) -> list[Record]:
    """At most ``limit`` rows ``{"id", "input", "references"}`` of a training file, spread evenly over it."""
    rows = read_jsonl(validation)
    count = min(limit or len(rows), len(rows))
    return [
        {
            "id": row.get("id", str(number)),
            "input": row["input"],
            "references": [row["output" if "output" in row else "teacher_output"]],
        }
        for number, row in [(part, rows[part * len(rows) // count]) for part in range(count)]
    ]


@dataclass(frozen=True)
class AnswerMetric:
    """Called with the step of a candidate whose weights are in the model, it answers and scores; a kill costs little.

    Attributes:
        trainer: holds the model, the training state and the cost of the job.
        tokenizer: of the model.
        rows: see :func:`selection_prompts`.
        settings: of the job.
        candidates: that are chosen among.
    """

    trainer: Any
    tokenizer: Any
    rows: list[Record]
    settings: TrainingSettings
    candidates: Candidates

    @property
    def name(self) -> str:
        """Of the metric."""
        return TASKS[self.settings.task].primary_metric

    def __call__(self, step: int) -> float:
        """The metric's mean over the rows and sampling seeds."""
        from pipestill.inference.answers import answer_prompts, sampling_seeds
        from pipestill.job.row_log import RowLog, state_of

        generation, model = self.settings.generation, self.trainer.model.eval()
        new_tokens = generation.max_new_tokens or TASKS[self.settings.task].max_new_tokens
        new_tokens += self.settings.rationale_tokens
        state = self.trainer.job_state.directory / "answers" / f"{step:08}"
        log = RowLog(state_of(state, sha256(self.candidates.path(step) / SHA256SUMS)) / "answers.jsonl")
        rows = {
            row["id"] if seed is None else f"{seed}/{row['id']}": row
            for row in self.rows
            for seed in sampling_seeds(generation)
        }
        with self.trainer.accelerator.autocast():
            answer_prompts(
                model,
                self.tokenizer,
                {key: row["input"] for key, row in rows.items()},
                generation,
                self.settings.training.max_length - new_tokens,
                new_tokens,
                log,
                self.trainer.cost,
                f"candidate of step {step}",
                self.settings.rationale_tokens > 0,
            )
        metric = METRICS[TASKS[self.settings.task].metrics][self.name]
        return fmean(metric(log.rows[key]["text"], row["references"]) for key, row in rows.items())
