"""Training of a classifier on the cross-entropy of labels."""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from pipestill.models.rows import Row, collate_classes, read_classes
from pipestill.objectives.classification import Classification
from pipestill.training.arguments import trainer_arguments
from pipestill.training.job import Data, Job
from pipestill.training.resumable import Batch, ResumableTrainer


def read(objective: Classification, job: Job) -> Data:
    """Prompts, and the labels of their answers."""
    classes = {answer: number for number, answer in enumerate(job.settings.labels.values())}
    return job.read(partial(read_classes, classes=classes, column=objective.file.answer))


def trainer(objective: Classification, job: Job, model: Any, data: Data) -> "ClassificationTrainer":
    """The trainer of a job."""
    collator = partial(collate_classes, pad_token_id=job.tokenizer.pad_token_id)
    return ClassificationTrainer(**trainer_arguments(job, model, data), data_collator=collator)


def class_loss(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Sum over a batch's rows of the cross-entropy of their classes, in nats.

    Args:
        model: a classifier, with an adapter or without.
        batch: of :func:`~pipestill.models.rows.collate_classes`.
    """
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return cross_entropy(logits.float(), batch["classes"], reduction="sum")


class ClassificationTrainer(ResumableTrainer):
    """Trains on the mean cross-entropy over all rows of an optimizer step."""

    @staticmethod
    def row_length(row: Row) -> int:
        """Tokens of the prompt."""
        return len(row["input_ids"])

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See :func:`class_loss`; a head in float32 reads the states of any number format."""
        with self.accelerator.autocast():
            return class_loss(model, batch)

    def count_items(self, batch: Batch) -> int:
        """Rows."""
        return len(batch["classes"])
