"""The tensors that training changes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WEIGHTS = "weights.safetensors"  # in a checkpoint, and of a candidate


def trainable(model: "torch.nn.Module") -> dict[str, "torch.Tensor"]:
    """The tensors that training changes, by name; tied ones once."""
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def put_weights(model: "torch.nn.Module", saved: Mapping[str, "torch.Tensor"]) -> None:
    """Give those tensors, divided or not, the values in ``saved``, which :func:`trainable` once gave."""
    import torch

    from pipestill.models.division import divided_like

    current = trainable(model)
    if saved.keys() != current.keys():
        raise RuntimeError("the saved weights are of other tensors than the model trains")
    with torch.no_grad():
        for name, tensor in current.items():
            tensor.copy_(divided_like(saved[name], tensor))
