"""Quantised layers of a model directory, as whole numbers and scales."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from pipestill.io.files import read_json

SCALE = ".weight_scale"


@dataclass(frozen=True)
class Packed:
    """A quantised weight.

    Attributes:
        values: whole numbers [outputs, inputs] of int8.
        scales: [outputs, groups] of float32, each for as many weights in a row.
        bits: of a weight.
        dynamic: inputs are quantised too.
    """

    values: torch.Tensor
    scales: torch.Tensor
    bits: int
    dynamic: bool


def packed_layers(directory: Path) -> Iterator[tuple[str, Packed]]:
    """Quantised layers by name; none of a model that is not quantised."""
    config = directory / "config.json"  # an adapter has none
    description = read_json(config).get("quantization_config") if config.is_file() else None
    if not description:
        return
    scheme = description["config_groups"]["group_0"]
    bits, dynamic = scheme["weights"]["num_bits"], scheme["input_activations"] is not None
    for file in sorted(directory.glob("model*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in (key.removesuffix(SCALE) for key in tensors.keys() if key.endswith(SCALE)):  # noqa: SIM118
                scales = tensors.get_tensor(name + SCALE).float()
                yield name, Packed(_values(tensors, name, bits), scales, bits, dynamic)


def _values(tensors: safe_open, name: str, bits: int) -> torch.Tensor:
    if f"{name}.weight" in tensors.keys():  # noqa: SIM118 (no mapping)
        return tensors.get_tensor(f"{name}.weight")
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    shape = torch.Size(tensors.get_tensor(f"{name}.weight_shape").tolist())
    return unpack_from_int32(tensors.get_tensor(f"{name}.weight_packed"), bits, shape).contiguous()
