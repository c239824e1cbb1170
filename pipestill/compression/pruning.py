"""Pruning of a trained model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from pipestill.compression.activations import Batch, influence, squared_inputs
from pipestill.compression.sparse import smallest, smallest_in_rows, two_of_four, wanda
from pipestill.compression.structure import family, feed_forwards, linear_layers, stacks
from pipestill.plan.compressible import check, left_of
from pipestill.settings.compression import SPARSE, Prune

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def prune(model: "PreTrainedModel", settings: Prune, calibration: Sequence[Batch]) -> dict[str, Any]:
    """Prune a whole model (full weights, any adapter merged) in place.

    Magnitude, Wanda and 2:4 leave zeros in the linear layers of the body; depth and width really remove layers and
    channels, and set the config right: ``save_pretrained`` then writes a plain smaller model.

    Args:
        model: in eval mode.
        settings: kind and amount.
        calibration: batches of training rows as :func:`~pipestill.models.rows.collate` makes them (labels are not
            read); empty for `magnitude`.

    Returns:
        What was done, for a JSON file: ``kind``, ``amount``, ``parameters`` and ``nonzero`` as ``{"before", "after"}``,
        ``removed`` (the numbers of the layers of each stack, for `depth`; channels of a layer, for `width`).

    Raises:
        UserError: as :func:`~pipestill.plan.compressible.check`.
    """
    check(model.config.to_dict(), settings, None)
    before = _sizes(model)
    if settings.kind in SPARSE:
        removed = _set_to_zero(model, settings, calibration)
    elif settings.kind == "depth":
        removed = _cut_layers(model, settings, calibration)
    else:
        removed = _cut_channels(model, settings, calibration)
    after = _sizes(model)
    changed = {name: {"before": before[name], "after": after[name]} for name in before}
    return {"kind": settings.kind, "amount": settings.amount, **changed, "removed": removed}


def _sizes(model: "PreTrainedModel") -> dict[str, int]:
    parameters = list(model.parameters())
    return {
        "parameters": sum(tensor.numel() for tensor in parameters),
        "nonzero": sum(int(tensor.count_nonzero()) for tensor in parameters),
    }


def _set_to_zero(model: "PreTrainedModel", settings: Prune, calibration: Sequence[Batch]) -> None:
    layers = linear_layers(model)
    squares = {} if settings.kind == "magnitude" else squared_inputs(model, layers, calibration)
    for name, layer in layers.items():
        if settings.kind == "magnitude":
            mask = smallest(layer.weight.abs(), settings.amount)
        elif settings.kind == "wanda":
            mask = smallest_in_rows(wanda(layer.weight, squares[name]), settings.amount)
        else:
            mask = two_of_four(wanda(layer.weight, squares[name]))
        layer.weight.masked_fill_(mask, 0)


def _cut_layers(model: "PreTrainedModel", settings: Prune, calibration: Sequence[Batch]) -> dict[str, list[int]]:
    """Remove the layers with the least influence from each stack."""
    removed, first = {}, 1 if family(model).first_stays else 0
    for stack, layers in stacks(model).items():
        values = influence(model, layers, calibration)
        order = sorted(range(first, len(layers)), key=lambda number: (values[number], number))
        gone = sorted(order[: len(layers) - left_of(len(layers), settings)])
        removed[stack.path] = gone
    for stack, layers in stacks(model).items():
        kept = [number for number in range(len(layers)) if number not in removed[stack.path]]
        _keep(model, stack.path, [layers[number] for number in kept])
        _tell_depth(model.config, stack.layers, kept)
    return removed


def _keep(model: "PreTrainedModel", path: str, layers: list[torch.nn.Module]) -> None:
    above, _, name = path.rpartition(".")
    setattr(model.base_model.get_submodule(above), name, torch.nn.ModuleList(layers))
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number  # its place in the cache


def _tell_depth(config: Any, key: str, kept: list[int]) -> None:
    """Set what a config says of its layers."""
    setattr(config, key, len(kept))
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[number] for number in kept]
    if getattr(config, "max_window_layers", None) is not None:
        config.max_window_layers = sum(number < config.max_window_layers for number in kept)


def _cut_channels(model: "PreTrainedModel", settings: Prune, calibration: Sequence[Batch]) -> int:
    """Keep the channels of each feed-forward part that are most active: those with the largest norm over tokens."""
    parts, key = feed_forwards(model), family(model).channels
    count = getattr(model.config, key)
    keep = left_of(count, settings)
    named = {str(number): part.out for number, part in enumerate(parts)}
    squares = squared_inputs(model, named, calibration)
    for number, part in enumerate(parts):
        order = squares[str(number)].argsort(descending=True, stable=True)
        kept = order[:keep].sort().values.to(part.out.weight.device)
        for layer in part.into:
            layer.weight = torch.nn.Parameter(layer.weight[kept].clone())
            if layer.bias is not None:
                layer.bias = torch.nn.Parameter(layer.bias[kept].clone())
            layer.out_features = keep
        part.out.weight = torch.nn.Parameter(part.out.weight[:, kept].clone())
        part.out.in_features = keep
        if hasattr(part.module, key):
            setattr(part.module, key, keep)
    setattr(model.config, key, keep)
    return count - keep
