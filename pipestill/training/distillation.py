"""Losses in which a teacher takes part: (1 - kd_rate) cross-entropy + kd_rate divergence from the teacher."""

from typing import Any

import torch

from pipestill.objectives.linear import LinearLoss
from pipestill.training.cross_entropy import CrossEntropyTrainer
from pipestill.training.resumable import Batch


class DistillationTrainer(CrossEntropyTrainer):
    """Trains on the mean over all answer tokens of an optimizer step; a subclass says how the loss is mixed."""

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self._means = 0  # of cross-entropy and divergence over the step so far

    def parts(self, model: torch.nn.Module, batch: Batch) -> LinearLoss:
        """The loss of a batch and its parts."""
        raise NotImplementedError

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """The mixed loss."""
        return self.parts(model, batch).loss

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The batch's share of the mean; its parts are kept for the log."""
        parts = self.parts(model, inputs)
        self._means = self._means + torch.stack([parts.cross_entropy, parts.divergence]).detach() / num_items_in_batch
        return parts.loss / num_items_in_batch

    def evaluation_sums(self, batch: Batch) -> dict[str, float]:
        """The loss and its parts."""
        return {name: float(value) for name, value in self.parts(self.model, batch)._asdict().items()}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss of a step."""
        if "loss" in logs:
            cross_entropy, divergence = self._means.tolist()
            logs = logs | {"cross_entropy": cross_entropy, "divergence": divergence}
            self._means = 0
        super().log(logs, start_time)
