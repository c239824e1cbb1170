"""Matrix products in float32 on a CPU, by the library that multiplies faster there."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 100  # of a layer's inputs: with fewer, as in decoding, oneDNN takes longer than torch (docs/performance.md)


def product_type(weight: Tensor) -> torch.dtype:
    """Type in which a linear layer of ``weight`` works here: autocast's inside of autocast, else the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def product(left: Tensor, right: Tensor, bias: Tensor | None = None, out: Tensor | None = None) -> Tensor:
    """``left @ right.T + bias``, [m, n], of matrices [m, k] and [n, k] of one type, one of them a head.

    Args:
        left: [m, k].
        right: [n, k].
        bias: [n].
        out: memory [m, n] that the result may take.
    """
    if left.dtype == torch.float32 and left.device.type == "cpu" and (linear := faster_linear()):
        return linear(left, right, bias)
    if bias is None:
        return torch.mm(left, right.t(), out=out)
    return torch.addmm(bias, left, right.t(), out=out)


def use_faster_products(model: torch.nn.Module) -> None:
    """Let the linear layers of ``model`` take the faster library, in place, where the machine has one.

    The head stays as it is: losses and ranking take it apart, and multiply by themselves.
    """
    if faster_linear() is None:
        return
    head = model.get_output_embeddings()
    for module in model.modules():
        if type(module) is torch.nn.Linear and module is not head:
            module.__class__ = FasterLinear


class FasterLinear(torch.nn.Linear):
    """A linear layer with the products of :func:`faster_linear`, forward and backward, from :data:`ROWS` rows on."""

    def forward(self, inputs: Tensor) -> Tensor:
        """``inputs`` [..., in] to [..., out]; as torch's own layer for fewer rows, other types and other places."""
        float32 = inputs.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not float32 or not inputs.is_cpu or inputs.numel() < ROWS * self.in_features:
            return super().forward(inputs)
        rows = _Product.apply(inputs.reshape(-1, self.in_features), self.weight, self.bias)
        return rows.view(*inputs.shape[:-1], self.out_features)


class _Product(torch.autograd.Function):
    """``inputs @ weight.T + bias``; the operator beneath has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return onednn_linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            onednn_linear(gradient, weight.t(), None) if of_inputs else None,
            onednn_linear(gradient.t(), inputs.t(), None) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


@functools.cache
def faster_linear() -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """oneDNN's float32 product where it beats torch's own choice, MKL: on AMD's processors with AVX-512, 1.7 times.

    There MKL does without the wide vectors. The operator is an internal of torch's compiler, so it is tried before it
    is used; and the choice depends on nothing but the machine, so that a job that is run again rounds as before.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if "AuthenticAMD" not in (cpuinfo.read_text() if cpuinfo.exists() else ""):
        return None
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available():
        return None
    left, right, bias = torch.linspace(-1, 1, 6).view(2, 3), torch.linspace(1, 2, 12).view(4, 3), torch.arange(4.0)
    try:
        works = torch.allclose(onednn_linear(left, right, bias), torch.addmm(bias, left, right.t()))
    except (AttributeError, RuntimeError):
        return None
    return onednn_linear if works else None


def onednn_linear(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    """``left @ right.T + bias`` of float32 matrices [m, k] and [n, k]; without a gradient."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
