"""Training on the cross-entropy of the tokens of answers."""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from pipestill.losses import CHUNK, IGNORED
from pipestill.losses.divergences import blocks
from pipestill.models.heads import answer_logits, hidden_states, linear_head, predicted
from pipestill.models.rows import Row, collate, read_answers, row_length
from pipestill.objectives.base import Objective
from pipestill.training.arguments import trainer_arguments
from pipestill.training.job import Data, Job
from pipestill.training.resumable import Batch, ResumableTrainer


def read(objective: Objective, job: Job) -> Data:
    """Prompts and answers."""
    return job.read(partial(read_answers, column=objective.file.answer))


def trainer(objective: Objective, job: Job, model: Any, data: Data) -> "CrossEntropyTrainer":
    """The trainer of a job."""
    collator = partial(collate, pad_token_id=job.tokenizer.pad_token_id)
    return CrossEntropyTrainer(**trainer_arguments(job, model, data), data_collator=collator)


def answer_loss(model: torch.nn.Module, batch: Batch, reduction: str = "sum") -> torch.Tensor:
    """Sum of the cross-entropies, in nats, of all labels that are not :data:`IGNORED`.

    The head is evaluated only where the next token has a label: [supervised, vocab] logits, not [batch, seq, vocab].

    Args:
        model: a causal language model whose ``logits_to_keep`` takes a mask, or an encoder-decoder.
        batch: of :func:`~pipestill.models.rows.collate`; the first position has no label.
        reduction: ``none`` gives those of the labels instead, [supervised], row by row.
    """
    logits = answer_logits(model, batch)
    return cross_entropy(logits.float(), predicted(batch["labels"]), reduction=reduction)


@torch.no_grad()
def answer_losses(model: torch.nn.Module, batch: Batch, head: torch.nn.Linear | None) -> torch.Tensor:
    """The cross-entropies that :func:`answer_loss` sums, [supervised], row by row, without gradients.

    Args:
        head: of :func:`~pipestill.models.heads.linear_head`, which reads :data:`CHUNK` tokens at a time. Without one,
            all logits [supervised, vocab] exist at once.
    """
    labels = predicted(batch["labels"])
    if head is None:
        return cross_entropy(answer_logits(model, batch).float(), labels, reduction="none")
    hidden = hidden_states(model, batch)
    losses = hidden.new_empty(len(labels), dtype=torch.float32)  # first: what is kept between chunks splits the heap
    for start in range(0, len(labels), CHUNK):
        logits = head(hidden[start : start + CHUNK])
        for block in blocks(logits):
            rows = slice(start + block.start, start + block.stop)
            losses[rows] = cross_entropy(logits[block].float(), labels[rows], reduction="none")
    return losses


class CrossEntropyTrainer(ResumableTrainer):
    """Trains on the mean cross-entropy over all answer tokens of an optimizer step.

    Attributes:
        head: of the model, if its logits are a linear map of its last hidden states.
    """

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self.head = self.within(lambda: linear_head(self.model))

    @staticmethod
    def row_length(row: Row) -> int:
        """Tokens of prompt and answer."""
        return row_length(row)

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See :func:`answer_loss`."""
        return answer_loss(model, batch)

    def count_items(self, batch: Batch) -> int:
        """Supervised tokens."""
        return int((batch["labels"][:, 1:] != IGNORED).sum())

    def evaluation_losses(self, batch: Batch) -> torch.Tensor:
        """Cross-entropies of a validation batch, see :func:`answer_losses`."""
        with self.accelerator.autocast():
            return answer_losses(self.model, batch, self.head)

    def evaluation_sums(self, batch: Batch) -> dict[str, float]:
        """The loss."""
        return {"loss": float(self.evaluation_losses(batch).sum())}
