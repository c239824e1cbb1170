"""Matrix products with the head."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor


def product_type(weight: Tensor) -> torch.dtype:
    """Type in which a linear layer of ``weight`` works here: autocast's inside of autocast, else the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def product(left: Tensor, right: Tensor, bias: Tensor | None = None, out: Tensor | None = None) -> Tensor:
    """``left @ right.T + bias``, [m, n], of matrices [m, k] and [n, k] of one type.

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

    def linear(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")

    left, right, bias = torch.linspace(-1, 1, 6).view(2, 3), torch.linspace(1, 2, 12).view(4, 3), torch.arange(4.0)
    try:
        works = torch.allclose(linear(left, right, bias), torch.addmm(bias, left, right.t()))
    except (AttributeError, RuntimeError):
        return None
    return linear if works else None
