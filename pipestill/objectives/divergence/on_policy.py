"""Training on answers of the student's own: the teacher beside it says at each of their tokens what it finds likely."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from pipestill.io.files import read_json, write_json
from pipestill.models.rows import PLACE, Row, answered, placed, prompt_of
from pipestill.objectives.divergence.own_answers import OwnAnswers, Source, Written
from pipestill.objectives.divergence.train import DivergenceTrainer
from pipestill.settings.on_policy import OnPolicy
from pipestill.training.drawing import Drawing
from pipestill.training.job import Job
from pipestill.training.resumable import Batch

STATE = "own_answers.json"  # in a checkpoint
OWN = "own"  # marks batches of own answers


def trainer(settings: OnPolicy, job: Job, *, train_dataset: list[Row], **arguments: Any) -> "OnPolicyTrainer":
    """The trainer of a job.

    Args:
        settings: of own answers.
        job: of the trainer.
        train_dataset: rows to train on.
        arguments: of a :class:`~pipestill.objectives.divergence.train.DivergenceTrainer`.
    """
    return OnPolicyTrainer(settings, job.settings.training.max_length, train_dataset=placed(train_dataset), **arguments)


class OnPolicyTrainer(DivergenceTrainer):
    """Trains some of its steps on answers of the student's own, by their divergence alone, weighted by ``kd_rate`` as
    in the other steps. No gradient flows through the drawing of answers, which are tokens like any other.

    Args:
        settings: which steps do, and how answers are drawn.
        max_length: tokens of a prompt and its answer at most.
        arguments: of :class:`~pipestill.objectives.divergence.train.DivergenceTrainer`; rows have their :data:`PLACE`.
    """

    def __init__(self, settings: OnPolicy, max_length: int, **arguments: Any):
        super().__init__(**arguments)
        self.own = OwnAnswers(settings, self.args.seed)
        self.drawing = Drawing(
            settings.sampling, self.train_dataset, max_length, self.args.seed, self.teacher.vocabulary
        )
        self._is_own, self._own_share = False, 0.0  # of the step

    def get_train_dataloader(self) -> DataLoader:
        """Rows, not batches: what they answer is decided when the step begins."""
        return DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=list)

    def get_batch_samples(
        self, epoch_iterator: Iterator[list[Row]], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], int]:
        """The batches of a step, and how many items they have."""
        if self.own.listens and self.own.reference is None:
            self.own.hear(self.measure()["cross_entropy"])
        rows = list(islice(epoch_iterator, num_batches))
        source = self.own.source(self.state.global_step, self.state.max_steps)
        self._is_own = source != "rows"
        if self._is_own:
            rows = self.with_own_answers(rows, source)
        batches = [self._collate(each) for each in rows]
        if self._is_own:
            batches = [batch and batch | {OWN: True} for batch in batches]
        return batches, self._get_num_items_in_batch(batches, device)

    def with_own_answers(self, batches: list[list[Row]], source: Source) -> list[list[Row]]:
        """The rows of a step with other answers; those that are kept have their own prompts too."""
        rows, step = list(chain(*batches)), self.state.global_step
        if source == "new":
            found = dict(chain(*self.processes.gather(self._answer(rows, step))))
            self.own.keep(sorted(found.items()))
            self.cost.tokens += sum(self._read(place) + len(tokens) for place, tokens in found.items())
            taken = {place: (place, tokens) for place, tokens in found.items()}
        else:
            places = sorted(chain(*self.processes.gather([row[PLACE] for row in rows])))
            taken = self.own.draw_kept(step, places)
        return [[self._answered(taken[row[PLACE]]) for row in each] for each in batches]

    def _answer(self, rows: list[Row], step: int) -> list[Written]:
        self.model.eval()
        with self.accelerator.autocast():
            return self.drawing.answers(self.model, rows, step)

    def _answered(self, written: Written) -> Row:
        place, tokens = written
        return answered(self.train_dataset[place], tokens)

    def _read(self, place: int) -> int:
        return len(prompt_of(self.train_dataset[place]))

    def contribution(self, model: torch.nn.Module, batch: Batch, items: int) -> torch.Tensor:
        """Of own answers, the divergence's share of the mean."""
        if OWN not in batch:
            return super().contribution(model, batch, items)
        self._own_share += self.count_items(batch) / items
        return self.kd_rate * self.counted(model, batch, items, kd_rate=1.0).loss / items

    def at_worst(self, row: Row) -> Row:
        """With the longest answer that the student may write."""
        tokens = [row["labels"][-1]] * self.drawing.room(row)
        return max(row, answered(row, tokens), key=self.row_length)

    def step_parts(self) -> dict[str, float]:
        """Also the share of own answers. Their cross-entropy, which is not learnt, is left out."""
        parts = super().step_parts() | {"own": self._own_share}
        self._own_share = 0.0
        return {name: value for name, value in parts.items() if name != "cross_entropy" or not self._is_own}

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """As always; an adaptive share hears of it."""
        metrics = super().evaluate(*arguments, **named)
        self.own.hear(metrics["eval_cross_entropy"])
        return metrics

    def keep(self, directory: Path) -> None:
        """The share and what is kept."""
        super().keep(directory)
        write_json(directory / STATE, self.own.state())

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.own.restore(read_json(Path(resume_from_checkpoint) / STATE))
