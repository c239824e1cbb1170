"""Training on answers that the student wrote before this part of its training, and on what is stored of the teacher."""

from dataclasses import dataclass
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import sha256
from pipestill.models.rows import Row, prompt_of, read_written
from pipestill.objectives.divergence import Divergence
from pipestill.objectives.divergence.make_teacher import stored_teacher
from pipestill.objectives.divergence.on_policy import OWN, OnPolicyTrainer
from pipestill.objectives.divergence.own_answers import Source
from pipestill.objectives.divergence.teachers import CachedTeacher, Teacher
from pipestill.training.drawing import PLACE, placed
from pipestill.training.job import Job
from pipestill.training.resumable import Batch


@dataclass(frozen=True)
class Round:
    """The answers of a round.

    Attributes:
        rows: of the training file, with these answers, as the teacher has prepared them.
        teacher: what is stored of it about them.
    """

    rows: list[Row]
    teacher: CachedTeacher


def read(objective: Divergence, job: Job, rows: list[Row]) -> Round:
    """The answers of the round that a job trains for.

    Args:
        objective: of the job.
        job: whose files have them.
        rows: of its training file.

    Raises:
        UserError: there are none, they are answers to other rows, or what is stored is of other answers.
    """
    answers, manifest = job.inputs.own_answers, job.inputs.own_distributions
    if answers is None or manifest is None:
        raise UserError(
            f"`{job.settings.method}` learns from answers of its own, a round of them in each job: name the file and "
            "the manifest of what the teacher finds likely in them, or set `on_policy.rounds: 0`"
        )
    written = read_written(answers, job.reading)
    if list(map(prompt_of, written)) != list(map(prompt_of, rows)):
        raise UserError(f"{answers} has not an answer to each row of {job.inputs.data}: let the student answer again")
    teacher = stored_teacher(objective, job, manifest)
    if [each["sha256"] for each in teacher.store.manifest["data"]] != [sha256(answers)]:
        raise UserError(f"{manifest} is of other answers than {answers}, such as another round's: capture them again")
    return Round(teacher.prepare(written, answers), teacher)


def trainer(found: Round, job: Job, *, train_dataset: list[Row], **arguments: Any) -> "RoundTrainer":
    """The trainer of a job.

    Args:
        found: answers of its round.
        job: of the trainer.
        train_dataset: rows to train on.
        arguments: of a :class:`~pipestill.objectives.divergence.train.DivergenceTrainer`.
    """
    own, longest = job.objective.on_policy(job.options), job.settings.training.max_length
    return RoundTrainer(found, settings=own, max_length=longest, train_dataset=placed(train_dataset), **arguments)


class RoundTrainer(OnPolicyTrainer):
    """As an :class:`~pipestill.objectives.divergence.on_policy.OnPolicyTrainer`, but the answers are those of a round.

    Args:
        found: these answers, by the places of their rows.
        arguments: as there.
    """

    def __init__(self, found: Round, **arguments: Any):
        super().__init__(**arguments)
        self.round = found

    def with_own_answers(self, batches: list[list[Row]], source: Source) -> list[list[Row]]:
        """The rows of a step with the answers of the round."""
        return [[self.round.rows[row[PLACE]] for row in each] for each in batches]

    def teacher_of(self, batch: Batch) -> Teacher:
        """What is stored about own answers, or about those of the training file."""
        return self.round.teacher if OWN in batch else super().teacher_of(batch)

    def hardest_batch(self) -> Batch:
        """The batch of the longest rows, with own answers where these are longer."""
        rows = sorted(self.round.rows, key=self.row_length)[-self.batches.batch_size :]
        own = self._prepare_inputs(self.data_collator(rows) | {OWN: True})
        return max(own, super().hardest_batch(), key=lambda batch: batch["labels"].numel())

    def at_worst(self, row: Row) -> Row:
        """As it is."""
        return row
