"""What all trainers add to transformers' Trainer: exact means, our batches, checkpoints that resume bit for bit."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME

from pipestill.errors import UserError
from pipestill.job.cost import CostMeter, usage
from pipestill.job.processes import ALONE, Processes
from pipestill.models.division import Divided, collected, collected_state, divide, divided_state, undivided, whole
from pipestill.models.rows import Row
from pipestill.objectives.base import Part
from pipestill.training.history import logged
from pipestill.training.sampler import LengthGroupedBatches, batches_by_length
from pipestill.training.state import TrainingState
from pipestill.training.weights import WEIGHTS, put_weights, trainable

EVALUATION_FACTOR = 4  # rows of an evaluation batch per row of a training batch: without gradients there is room
MASKS = ("attention_mask", "decoder_attention_mask")

Batch = dict[str, torch.Tensor]


class ResumableTrainer(Trainer, ABC):
    """A Trainer whose loss is a sum over items (tokens, pairs) divided by the items of the whole optimizer step.

    A subclass says how long a row is, what an item is, and what its loss is.

    Args:
        state: where checkpoints go.
        cost: counts the tokens.
        parts: what is logged beside the loss.
        processes: that share each batch, and sum what they make of it.
        divided: they divide the weights among them too.
        arguments: of the Trainer.
    """

    loss_is_scaled_for_ga = True  # tells the Trainer that accumulation is already in the divisor

    def __init__(
        self,
        state: TrainingState,
        cost: CostMeter,
        parts: Sequence[Part] = (),
        processes: Processes = ALONE,
        divided: bool = False,
        **arguments: Any,
    ):
        self.job_state = state
        self.cost = cost
        self.processes, self.divided = processes, divided
        self.within: Divided | Callable[[Callable[[], Any]], Any] = undivided
        self.summed = ["loss", *(part.name for part in parts if part.in_training)]
        self.logged = logged(parts)
        rows, held_out = ([self.row_length(row) for row in arguments[f"{name}_dataset"]] for name in ("train", "eval"))
        batch_size = arguments["args"].per_device_train_batch_size
        self.batches = LengthGroupedBatches(rows, batch_size, arguments["args"].seed, processes)
        self.evaluation_batches = batches_by_length(held_out, EVALUATION_FACTOR * batch_size)
        super().__init__(**arguments)
        self.remove_callback(PrinterCallback)
        self.divide()

    def _move_model_to_device(self, model, device) -> None:
        if not self.divided:  # else each part goes there by itself
            super()._move_model_to_device(model, device)

    def divide(self) -> None:
        """Divide the weights, if that is asked for and not done; from here on :attr:`within` gives whole ones."""
        if self.divided and self.within is undivided:
            self.within = divide(self.model, self.args.device.type)

    @staticmethod
    @abstractmethod
    def row_length(row: Row) -> int:
        """Tokens that a row takes in a batch."""

    def longest_sequence(self, row: Row) -> int:
        """Tokens of the longest sequence that a row is made of."""
        return self.row_length(row)

    @abstractmethod
    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Loss of a batch, summed over its items, in fp32."""

    @abstractmethod
    def count_items(self, batch: Batch) -> int:
        """Items of a batch that have a loss."""

    def mean(self, sums: torch.Tensor, items: int) -> torch.Tensor:
        """What ``sums`` of losses contribute to a mean over ``items``."""
        return sums / items

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """See :meth:`contribution`."""
        return self.within(lambda: self.contribution(model, inputs, num_items_in_batch))

    def contribution(self, model: torch.nn.Module, batch: Batch, items: Any) -> torch.Tensor:
        """The batch's share of the mean over all ``items`` of this optimizer step."""
        return self.mean(self.loss_sum(model, batch), items)

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> int:
        masks = (batch[name] for batch in batch_samples for name in MASKS if name in batch)
        own = sum(map(self.count_items, filter(None, batch_samples))), sum(int(mask.sum()) for mask in masks)
        items, tokens, used = zip(*self.processes.gather((*own, usage())), strict=True)
        self.cost.tokens += sum(tokens)
        self.cost.others = list(used[1:])
        return sum(items)

    def get_train_dataloader(self) -> DataLoader:
        """Batches of our own sampler, unwrapped: accelerate's wrappers do not pass the epoch on after a resume."""
        return DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self._collate)

    def _collate(self, rows: list[Row]) -> Batch:
        return self.data_collator(rows) if rows else {}

    def training_step(self, model, inputs, num_items_in_batch=None):
        """Forward and backward pass of each part; nothing is to be done where other processes have all rows.

        While weights are divided, all processes need each other in every pass: one with fewer joins in with a row that
        counts for nothing.
        """
        parts = self.parts(inputs)
        missing = max(self.processes.gather(len(parts))) - len(parts) if self.divided else 0
        loss = torch.zeros((), device=self.args.device)
        for part in parts:
            loss += super().training_step(model, part, num_items_in_batch)
        for _ in range(missing):
            spare = self.data_collator([self.train_dataset[0]])
            super().training_step(model, spare, num_items_in_batch + math.inf)
        return loss

    def parts(self, batch: Batch) -> list[Batch]:
        """What of a batch goes through the model at a time."""
        return [batch] if batch else []

    def _clip_grad_norm(self, model):
        self._sum_gradients()
        return whole(super()._clip_grad_norm(model))

    def _sum_gradients(self) -> None:
        """Let every process have the gradients of the whole step, which are sums of their shares."""
        if self.processes.size == 1 or self.divided:
            return
        tensors = list(trainable(self.model).values())
        present = self.processes.gather([tensor.grad is not None for tensor in tensors])
        reached = [tensor for tensor, found in zip(tensors, zip(*present, strict=True), strict=True) if any(found)]
        for tensor in reached:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        self.processes.add_up([tensor.grad for tensor in reached])

    def evaluation_sums(self, batch: Batch) -> dict[str, float]:
        """What is measured on a validation batch, summed over its items: the loss, and what a subclass adds."""
        return {"loss": float(self.loss_sum(self.model, batch))}

    def evaluation_means(self, sums: dict[str, float], items: int) -> dict[str, float]:
        """What :meth:`evaluation_sums` of all validation rows make, which have ``items``."""
        return {name: total / items for name, total in sums.items()}

    def mean_loss(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Loss of one batch by itself."""
        return self.within(lambda: self.mean(self.loss_sum(model, batch), self.count_items(batch)))

    def hardest_batch(self) -> Batch:
        """The batch of the longest rows, on the device: for checks before the run."""
        rows = [self.at_worst(row) for row in self.train_dataset]
        lengths = [self.longest_sequence(row) for row in rows]
        longest = batches_by_length(lengths, len(lengths))[0][-self.batches.batch_size :]
        longest = longest[-math.ceil(len(longest) / self.processes.size) :]
        return self._prepare_inputs(self.data_collator([rows[index] for index in longest]))

    def at_worst(self, row: Row) -> Row:
        """What a row may become, as far as memory goes."""
        return row

    def measure(self) -> dict[str, float]:
        """Means over all items of the validation rows, each counted once."""
        self.model.eval()
        own, count = Counter(), 0
        with torch.no_grad():
            for indices in self.own_batches(self.evaluation_batches):
                batch = self.data_collator([self.eval_dataset[index] for index in indices or [0]])
                found = self.within(partial(self.evaluation_sums, self._prepare_inputs(batch)))
                if indices:
                    count += self.count_items(batch)
                    own.update(found)
        sums, items = Counter(), 0
        for part, counted in self.processes.gather((own, count)):
            sums.update(part)
            items += counted
        return self.evaluation_means(sums, items)

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Log what :meth:`measure` finds."""
        metrics = {f"eval_{name}": value for name, value in self.measure().items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def own_batches(self, batches: Sequence[list[int]]) -> list[list[int]]:
        """This process's share; while weights are divided as many as the others have, by ones without rows."""
        own = list(self.processes.share(batches))
        missing = -(-len(batches) // self.processes.size) - len(own)
        return own + [[]] * (missing if self.divided else 0)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep what is worth keeping, free of times, to seven digits.

        Raises:
            UserError: the loss is not finite.
        """
        if "loss" in logs:
            shares = self.processes.gather({name: logs[name] for name in self.summed if name in logs})
            logs = logs | {name: sum(share[name] for share in shares) for name in shares[0]}
        row = {name: logs[name] for name in self.logged if name in logs}
        for name in ("loss", "eval_loss"):
            if not math.isfinite(row.get(name, 0.0)):
                raise UserError(
                    f"{name} is {row[name]} at step {self.state.global_step}: lower training.learning_rate, or train "
                    "with `precision: fp32`"
                )
        if row:
            Trainer.log(self, {name: _rounded(value) for name, value in row.items()})

    def history(self) -> list[dict[str, float | None]]:
        """The log as rows of ``history.jsonl``."""
        return [
            {"step": row["step"], "epoch": _rounded(row["epoch"])}
            | {name: row[name] for name in self.logged if name in row}
            for row in self.state.log_history
        ]

    def _save_checkpoint(self, model, trial) -> None:
        first = self.processes.first
        weights = collected(trainable(self.model), first)
        optimizer = collected_state(self.optimizer.state_dict(), first)
        if not first:
            return
        self.cost.save()  # before the checkpoint is there: a kill after it loses no cost
        with self.job_state.checkpoint(self.state.global_step) as directory:
            save_file(weights, directory / WEIGHTS)
            torch.save(optimizer, directory / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), directory / SCHEDULER_NAME)
            self._save_scaler(str(directory))
            self._save_rng_state(str(directory))
            self.state.save_to_json(str(directory / TRAINER_STATE_NAME))
            self.keep(directory)

    def keep(self, directory: Path) -> None:
        """Write into a checkpoint what a subclass goes on with."""

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        put_weights(self.model, load_file(Path(resume_from_checkpoint) / WEIGHTS))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not self.divided:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        state = torch.load(Path(checkpoint) / OPTIMIZER_NAME, map_location="cpu", weights_only=True)
        parameters = [tensor for group in self.optimizer.param_groups for tensor in group["params"]]
        self.optimizer.load_state_dict(divided_state(state, parameters))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))


def _rounded(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None  # a skipped fp16 step has no gradient norm
