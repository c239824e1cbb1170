"""Training step-by-step: answers and rationales as two tasks, told apart by prompt, or as one text."""

from functools import partial
from typing import Any

import torch

from pipestill.losses import IGNORED
from pipestill.models.rows import Row, collate_explained, read_explained, read_joined
from pipestill.objectives.cross_entropy import train as cross_entropy
from pipestill.objectives.cross_entropy.train import CrossEntropyTrainer, answer_loss
from pipestill.objectives.stepwise import Stepwise, StepwiseOptions
from pipestill.training.arguments import trainer_arguments
from pipestill.training.job import Data, Job
from pipestill.training.resumable import Batch

NAMES = tuple(part.name for part in Stepwise.parts)  # in the order of every pair [2] below


def read(objective: Stepwise, job: Job) -> Data:
    """Answers, each with its rationale beside it or in the same text."""
    return job.read(read_explained if job.options.two_tasks else read_joined)


def trainer(objective: Stepwise, job: Job, model: Any, data: Data) -> CrossEntropyTrainer:
    """The trainer of a job; one text is learnt as any answer is."""
    if not job.options.two_tasks:
        return cross_entropy.trainer(objective, job, model, data)
    collator = partial(collate_explained, pad_token_id=job.tokenizer.pad_token_id)
    return StepwiseTrainer(job.options, **trainer_arguments(job, model, data), data_collator=collator)


def part_losses(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Cross-entropies, in nats, summed over the supervised tokens of answers and over those of rationales, [2].

    Args:
        model: see :func:`~pipestill.objectives.cross_entropy.train.answer_loss`.
        batch: see :func:`~pipestill.models.rows.collate_explained`.
    """
    return _sums(answer_loss(model, batch, reduction="none"), batch)


class StepwiseTrainer(CrossEntropyTrainer):
    """Trains on alpha (mean over answer tokens) + (1 - alpha) (mean over rationale tokens), of an optimizer step each.

    Batches are made by the lengths of answers, as for plain cross-entropy: equal rows come in equal order there.

    Args:
        options: alpha, and how many forward passes a batch takes.
        arguments: of :class:`~pipestill.training.resumable.ResumableTrainer`.
    """

    def __init__(self, options: StepwiseOptions, **arguments: Any):
        super().__init__(**arguments)
        self.shares = torch.tensor([options.alpha, 1 - options.alpha])
        self.one_pass = options.one_pass
        self._means = torch.zeros(2)  # of both parts, over the step so far

    def longest_sequence(self, row: Row) -> int:
        """Tokens of prompt and answer, or of prompt and rationale."""
        return max(self.row_length(part) for part in (row, row["rationale"]) if part)

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See :func:`part_losses`."""
        return part_losses(model, batch)

    def count_items(self, batch: Batch) -> torch.Tensor:
        """Supervised tokens of answers and of rationales, [2]."""
        explains = _explains(batch)
        return torch.stack([(~explains).sum(), explains.sum()])

    def mean(self, sums: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Both parts' contributions to their means, mixed; a part without tokens contributes nothing."""
        return (self.shares.to(sums.device) * _means(sums, items)).sum()

    def contribution(self, model: torch.nn.Module, batch: Batch, items: torch.Tensor) -> torch.Tensor:
        """The batch's share of the mixed means; its parts are kept for the log."""
        sums = self.loss_sum(model, batch)
        self._means = self._means + _means(sums.detach(), items).cpu()
        return self.mean(sums, items)

    def parts(self, batch: Batch) -> list[Batch]:
        """All rows together, or answers and rationales one after the other."""
        if self.one_pass or not batch:
            return super().parts(batch)
        chosen = (~batch["explains"], batch["explains"])
        return [_rows(batch, rows) for rows in chosen if rows.any()]

    def hardest_batch(self) -> Batch:
        """Of the longest rows the most that goes through the model at a time, and that the loss depends on."""

        def counts(part: Batch) -> bool:
            items = self.count_items(part)
            return bool(self.mean(items, items) > 0)

        parts = self.parts(super().hardest_batch())
        return max(filter(counts, parts), default=parts[0], key=lambda part: part["input_ids"].numel())

    def evaluation_sums(self, batch: Batch) -> dict[str, float]:
        """The parts of the loss."""
        return dict(zip(NAMES, _sums(self.evaluation_losses(batch), batch).tolist(), strict=True))

    def evaluation_means(self, sums: dict[str, float], items: torch.Tensor) -> dict[str, float]:
        """The mixed loss, and its parts."""
        totals = torch.tensor([sums[name] for name in NAMES], dtype=torch.float64)
        return {"loss": float(self.mean(totals, items))} | dict(zip(NAMES, _means(totals, items).tolist(), strict=True))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss of a step."""
        if "loss" in logs:
            logs = logs | dict(zip(NAMES, self._means.tolist(), strict=True))
            self._means = torch.zeros(2)
        super().log(logs, start_time)


def _explains(batch: Batch) -> torch.Tensor:
    """Which supervised tokens are of rationales, [supervised], in the order of :func:`predicted`."""
    learned = batch["labels"][:, 1:] != IGNORED
    return batch["explains"][:, None].expand_as(learned)[learned]


def _sums(losses: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sums of the losses [supervised] of answers and of rationales, [2]."""
    explains = _explains(batch)
    return torch.stack([losses[~explains].sum(), losses[explains].sum()])


def _means(sums: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    return sums / items.to(sums.device).clamp(min=1)  # no tokens, no sum


def _rows(batch: Batch, rows: torch.Tensor) -> Batch:
    """Some rows of a batch, without columns that are padding in all of them."""
    chosen = {name: tensor[rows] for name, tensor in batch.items()}
    source = int(chosen["attention_mask"].sum(1).max())
    answers = int(chosen.get("decoder_attention_mask", chosen["attention_mask"]).sum(1).max())
    ends = {"input_ids": source, "attention_mask": source}
    return {
        name: tensor if tensor.dim() == 1 else tensor[:, : ends.get(name, answers)] for name, tensor in chosen.items()
    }
