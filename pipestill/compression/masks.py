"""Zeros that stay zeros in training."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Masks:
    """Holds the zeros of a pruned model.

    AdamW's moments move a weight whose gradient is masked, so weights are masked after each optimizer step. Nothing has
    to be stored to resume: the zeros of a saved state are the masks.
    """

    def __init__(self, model: "torch.nn.Module"):
        """Remember where the linear layers of ``model`` hold zeros now."""

    def __bool__(self) -> bool:
        """True if there are zeros to hold."""
        raise NotImplementedError

    def apply(self) -> None:
        """Set these weights to zero again, in place; call it after each optimizer step."""
        raise NotImplementedError
