"""Zeros that stay zeros in training."""

from typing import TYPE_CHECKING

import torch

from pipestill.compression.structure import linear_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Masks:
    """Holds the zeros of a pruned model.

    AdamW's moments move a weight whose gradient is masked, so weights are masked after each optimizer step. Nothing has
    to be stored to resume: the zeros of a saved state are the masks.
    """

    def __init__(self, model: "PreTrainedModel"):
        """Remember where the weights that can be pruned are zero now."""
        weights = [_held(layer.weight) for layer in linear_layers(model).values()]
        zeros = [(weight, weight == 0) for weight in weights]
        self.zeros = [(weight, mask) for weight, mask in zeros if mask.any()]

    def __bool__(self) -> bool:
        """True if there are zeros to hold."""
        return bool(self.zeros)

    @torch.no_grad()
    def apply(self) -> None:
        """Set these weights to zero again, in place; call it after each optimizer step."""
        for weight, mask in self.zeros:
            weight.masked_fill_(mask, 0)


def _held(weight: torch.Tensor) -> torch.Tensor:
    """What this process holds of a weight, which may be divided among several; changes reach the weight."""
    weight = weight.detach()
    return weight.to_local() if hasattr(weight, "to_local") else weight
