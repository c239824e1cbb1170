"""Fast products with quantised weights on a CPU, for answers by hand and serving.

Which kernel multiplies follows measurements (benchmarks/compression.py, docs/compression.md). Weights of 8 bits are
multiplied by inputs of 8 bits, which the scheme `int8-dynamic` asks for and which beats all that torch has for other
inputs. Weights of fewer bits meet inputs in bf16: for few rows, as in decoding, time is that of reading weights, and a
kernel that reads packed ones wins; for many rows, weights that are unpacked to bf16 on the way do.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipestill.compression.packed import Packed, packed_layers

ROWS = 16  # of a layer's inputs: up to these, the packed kernel is faster than bf16 on the way
WEIGHTS = 2**16  # of a layer: smaller ones gain nothing over float32, unless that has to round its inputs first
GROUPS = (32, 64, 128, 256)  # that torch's kernel for 4 bits knows
UNIT = torch.finfo(torch.float32).eps  # smallest scale of inputs, as torchao has it


def use_fast_kernels(model: Any, directory: Path) -> int:
    """Let quantised linear layers of a loaded model multiply by integer kernels, in place, where those are faster.

    Outputs then differ from the exact arithmetic by rounding (docs/compression.md has numbers), so measured quality
    comes from models without them.

    Args:
        model: loaded from ``directory``, on a CPU, in eval mode.
        directory: with its packed weights.

    Returns:
        How many layers do; 0 for a model that is not quantised, is not on a CPU or is too small to gain.
    """
    if model.device.type != "cpu":
        return 0
    fast = 0
    for name, packed in packed_layers(directory):
        kernel = _kernel(packed)
        if kernel is not None and (packed.dynamic or packed.values.numel() >= WEIGHTS):
            layer = model.get_submodule(name)
            above, _, own = name.rpartition(".")
            setattr(model.get_submodule(above), own, kernel(packed, layer.bias))
            fast += 1
    return fast


class FastLinear(torch.nn.Module):
    """A linear layer with a quantised weight; without a gradient.

    Args:
        packed: its weight.
        bias: [outputs], if any.
    """

    def __init__(self, packed: Packed, bias: Tensor | None):
        super().__init__()
        self.out_features, self.in_features = packed.values.shape
        self.register_buffer("weight", packed.values, persistent=False)  # T5 asks for its type
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """``inputs`` [..., in] of float32 to [..., out]."""
        rows = self.product(inputs.reshape(-1, self.in_features))
        rows = rows if self.bias is None else rows + self.bias
        return rows.view(*inputs.shape[:-1], self.out_features)

    def product(self, rows: Tensor) -> Tensor:
        """[rows, in] to [rows, out], without the bias."""
        raise NotImplementedError


class EightBits(FastLinear):
    """8 bits with a scale for each output; inputs are rounded to 8 bits, each row by its own scale."""

    def __init__(self, packed: Packed, bias: Tensor | None):
        """Pack the weight for one row, and keep what a shift of the inputs adds."""
        super().__init__(packed, bias)
        self.register_buffer("scales", packed.scales[:, 0], persistent=False)
        self.register_buffer("sums", packed.values.sum(1).float(), persistent=False)
        zeros = torch.zeros(self.out_features, dtype=torch.long)
        with warnings.catch_warnings():  # tensors of this type, which the kernel wants, are to leave torch one day
            warnings.simplefilter("ignore", UserWarning)
            quantised = torch._make_per_channel_quantized_tensor(packed.values, self.scales.double(), zeros, 0)
        self.packed = torch.ops.quantized.linear_prepack(quantised, self.bias)
        self.narrow = not torch.cpu._is_vnni_supported()  # sums of products would overflow

    def forward(self, inputs: Tensor) -> Tensor:
        """See there; of more rows than one, the kernel would take one scale for all, so that each depended on all."""
        if inputs.numel() == self.in_features:
            return torch.ops.quantized.linear_dynamic(inputs, self.packed, self.narrow)
        return super().forward(inputs)

    def product(self, rows: Tensor) -> Tensor:
        """See there."""
        low, high = rows.amin(-1, keepdim=True).clamp(max=0), rows.amax(-1, keepdim=True).clamp(min=0)
        unit = ((high - low) / 255).clamp(min=UNIT)
        zero = (-128 - (low / unit).round()).clamp(-128, 127)
        whole = ((rows / unit).round() + zero).clamp(-128, 127).to(torch.int8)
        return (torch._int_mm(whole, self.weight.t()) - zero * self.sums) * (unit * self.scales)


class FewBits(FastLinear):
    """2 to 4 bits with a scale for each group; inputs and scales are rounded to bf16."""

    def __init__(self, packed: Packed, bias: Tensor | None):
        """Pack the weight as the kernel wants it: numbers without a sign, 8 for 0."""
        super().__init__(packed, bias)
        self.group = self.in_features // packed.scales.shape[1]
        scales = packed.scales.bfloat16()
        self.register_buffer("scales", scales[:, :, None], persistent=False)
        shifted = torch.stack([scales, torch.zeros_like(scales)], -1).transpose(0, 1).contiguous()
        self.register_buffer("shifted", shifted, persistent=False)
        packed_values = torch._convert_weight_to_int4pack_for_cpu(packed.values.int() + 8, 1)
        self.register_buffer("packed", packed_values, persistent=False)

    def product(self, rows: Tensor) -> Tensor:
        """See there."""
        narrow = rows.bfloat16()
        if len(rows) <= ROWS:
            return torch.ops.aten._weight_int4pack_mm_for_cpu(narrow, self.packed, self.group, self.shifted).float()
        grouped = self.weight.bfloat16().view(self.out_features, -1, self.group) * self.scales
        return torch.nn.functional.linear(narrow, grouped.view(self.out_features, -1)).float()


def _kernel(packed: Packed) -> type[FastLinear] | None:
    """The kernel of a weight; none where torch has none for its shape."""
    outputs, inputs = packed.values.shape
    if packed.bits == 8:
        return EightBits
    fits = inputs // packed.scales.shape[1] in GROUPS and outputs % 16 == 0
    return FewBits if fits else None
