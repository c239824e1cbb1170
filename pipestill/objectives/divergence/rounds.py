"""Training on answers that the student wrote before this part of its training, and on what is stored of the teacher."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import sha256
from pipestill.models.rows import PLACE, Row, placed, prompt_of, read_written
from pipestill.objectives.divergence import Divergence
from pipestill.objectives.divergence.make_teacher import stored_teacher
from pipestill.objectives.divergence.on_policy import OWN, OnPolicyTrainer
from pipestill.objectives.divergence.own_answers import Source
from pipestill.objectives.divergence.teachers import CachedTeacher, Teacher
from pipestill.training.job import Job
from pipestill.training.resumable import Batch


@dataclass(frozen=True)
class Round:
    """The answers of a round.

    Attributes:
        rows: with these answers, as the teacher has prepared them, by the places of their prompts in the training file.
        teacher: what is stored of it about them.
    """

    rows: Mapping[int, Row]
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
    prompts = dict(enumerate(map(prompt_of, rows)))
    if any(prompt_of(row) != prompts.get(row[PLACE]) for row in written):
        raise UserError(f"{answers} has answers to other prompts than {job.inputs.data}: let the student answer again")
    teacher = stored_teacher(objective, job, manifest)
    if [each["sha256"] for each in teacher.store.manifest["data"]] != [sha256(answers)]:
        raise UserError(f"{manifest} is of other answers than {answers}, such as another round's: capture them again")
    return Round({row[PLACE]: row for row in teacher.prepare(written, answers)}, teacher)


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
        """The rows of a step with the answers of the round.

        Raises:
            UserError: it has none to one of them.
        """
        missing = [row[PLACE] for each in batches for row in each if row[PLACE] not in self.round.rows]
        if missing:
            raise UserError(
                f"the student has not answered row {missing[0] + 1} of the training file, from which step "
                f"{self.state.global_step + 1} learns: let it answer again"
            )
        return [[self.round.rows[row[PLACE]] for row in each] for each in batches]

    def teacher_of(self, batch: Batch) -> Teacher:
        """What is stored about own answers, or about those of the training file."""
        return self.round.teacher if OWN in batch else super().teacher_of(batch)

    def hardest_batch(self) -> Batch:
        """The batch of the longest rows, with own answers where these are longer."""
        rows, given = sorted(self.round.rows.values(), key=self.row_length), super().hardest_batch()
        if not rows:
            return given
        own = self._prepare_inputs(self.data_collator(rows[-self.batches.batch_size :]) | {OWN: True})
        return max(own, given, key=lambda batch: batch["labels"].numel())

    def at_worst(self, row: Row) -> Row:
        """As it is."""
        return row
