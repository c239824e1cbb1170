"""A task's first metric on answers to validation prompts, which `select: metric` chooses by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from pipestill.errors import UserError
from pipestill.inference.loaded import Loaded
from pipestill.inference.work import Work
from pipestill.io.files import SHA256SUMS, sha256
from pipestill.io.records import read_jsonl
from pipestill.job.halves import half
from pipestill.job.row_log import state_of
from pipestill.settings.jobs import TrainingSettings
from pipestill.tasks import task_of
from pipestill.training.candidates import Candidates
from pipestill.training.job import Job


def check_selection(settings: TrainingSettings) -> None:
    """Refuse a choice by a metric that single answers do not have.

    Raises:
        UserError: with the way out.
    """
    asking = settings.selection
    if settings.training.select == "metric" and not (asking and task_of(asking).answers.can("score_one")):
        raise UserError("`training.select: metric` is for tasks whose answers are generated: use `loss`")


@dataclass(frozen=True)
class Question:
    """A prompt, and the answer that is expected."""

    prompt: str
    reference: str


def selection_questions(validation: Path, answer: str, limit: int | None) -> dict[str, Question]:
    """By id at most ``limit`` questions of a training file, spread evenly over it; ``answer`` is the key of answers."""
    rows = read_jsonl(validation)
    count = min(limit or len(rows), len(rows))
    chosen = [rows[part * len(rows) // count] for part in range(count)]
    return {row.get("id", str(number)): Question(row["input"], row[answer]) for number, row in enumerate(chosen)}


@dataclass(frozen=True)
class AnswerMetric:
    """Called with the step of a candidate whose weights are in the model, it answers and scores; a kill costs little.

    Attributes:
        trainer: holds the model.
        job: of the trainer.
        questions: see :func:`selection_questions`.
        candidates: that are chosen among.
    """

    trainer: Any
    job: Job
    questions: Mapping[str, Question]
    candidates: Candidates

    @property
    def name(self) -> str:
        """Of the metric."""
        return task_of(self.job.settings.selection).answers.selecting

    def __call__(self, step: int) -> float:
        """The metric's mean over all answers."""
        asking = self.job.settings.selection
        answers = task_of(asking).answers
        state = self.job.state.directory / "answers" / f"{step:08}"
        state = state_of(state, sha256(self.candidates.path(step) / SHA256SUMS))
        loaded = Loaded(self.trainer.model.eval(), self.job.tokenizer, self.job.plan)
        prompts = {key: question.prompt for key, question in self.questions.items()}
        with self.trainer.accelerator.autocast():
            said = half(answers, "predict").say(
                task_of(asking), loaded, asking, prompts, Work(state, self.job.cost, f"candidate of step {step}")
            )
        return fmean(
            answers.score_one(replace(said[key], outputs=[output]), [question.reference])
            for key, question in self.questions.items()
            for output in said[key].outputs
        )
