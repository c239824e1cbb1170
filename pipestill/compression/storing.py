"""Quantised models on disk, in the format of compressed-tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pipestill.compression.structure import linear_layers, others
from pipestill.models.saving import save_model
from pipestill.settings.compression import BITS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PACKED, PLAIN = "pack-quantized", "int-quantized"  # formats: dense bits in int32, and an int8 for each weight
Tensors = dict[str, torch.Tensor]


def save_quantized(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    directory: Path,
    *,
    lineage: dict[str, Any],
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write a model that :func:`~pipestill.compression.quantising.convert` made, as
    :func:`~pipestill.models.saving.save_model` does for others.

    Plain ``from_pretrained`` loads it, to bit-equal outputs. Tensors that bf16 holds without loss are written so:
    embeddings and heads always are.

    Args:
        model: converted.
        tokenizer: of the model.
        directory: the final place.
        lineage: see there.
        extras: see there.
    """
    layers = linear_layers(model)
    description = _description(model, [layer.weight for layer in layers.values()])
    state, held = {}, {}
    for name, tensor in model.state_dict().items():
        layer = name.removesuffix(".weight")
        if layer in layers:
            state |= {f"{layer}.{part}": value for part, value in _pack(tensor, description).items()}
        else:  # tied weights stay one tensor
            state[name] = held.setdefault(tensor.data_ptr(), _narrow(tensor))
    model.config.quantization_config, model.config.dtype = description, torch.float32
    try:
        save_model(model, tokenizer, directory, lineage=lineage, extras=extras, weights=state)
    finally:
        del model.config.quantization_config


def _description(model: "PreTrainedModel", weights: list[Any]) -> dict[str, Any]:
    """What ``config.json`` says of the format.

    ``dequantize`` has transformers make plain layers as it loads, which T5 needs (it asks its layers for their
    weights) and which is as exact; activations that are quantised need the layers of compressed-tensors.
    """
    whole = all(weight.block_size[-1] == weight.shape[-1] for weight in weights)
    first = weights[0]
    grouped = {"strategy": "channel"} if whole else {"strategy": "group", "group_size": first.block_size[-1]}
    bits = BITS[str(first.target_dtype).removeprefix("torch.")]
    dynamic = first.activation_quantization is not None
    form = PLAIN if dynamic else PACKED
    activations = {"num_bits": 8, "type": "int", "symmetric": False, "strategy": "token", "dynamic": True}
    scheme = {
        "targets": ["Linear"],
        "weights": {"num_bits": bits, "type": "int", "symmetric": True, **grouped},
        "input_activations": activations if dynamic else None,
        "format": form,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "ignore": others(model),
        "config_groups": {"group_0": scheme},
        **({} if dynamic else {"dequantize": True}),
    }


def _pack(weight: Any, description: Mapping[str, Any]) -> Tensors:
    """What a layer's weight is on disk."""
    scales = weight.scale.reshape(len(weight.scale), -1).contiguous()
    if description["format"] == PLAIN:
        return {"weight": weight.qdata.contiguous(), "weight_scale": scales}
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    bits = description["config_groups"]["group_0"]["weights"]["num_bits"]
    packed = pack_to_int32(weight.qdata, bits)
    return {"weight_packed": packed, "weight_scale": scales, "weight_shape": torch.tensor(weight.shape)}


def _narrow(tensor: torch.Tensor) -> torch.Tensor:
    """A float32 tensor in bf16, if it stays the same numbers."""
    narrow = tensor.bfloat16() if tensor.dtype == torch.float32 else tensor
    return narrow if torch.equal(narrow.to(tensor.dtype), tensor) else tensor
