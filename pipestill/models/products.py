"""Linear layers of a model in float32 on a CPU, by the library that multiplies faster there."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipestill.losses.products import faster_linear


class FasterLinear(torch.nn.Linear):
    """A linear layer with the products of :func:`~pipestill.losses.products.faster_linear`, both ways."""

    def forward(self, inputs: Tensor) -> Tensor:
        """``inputs`` [..., in] to [..., out]; as torch's own layer where the type is not float32."""
        if inputs.dtype != torch.float32 or self.weight.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(inputs)
        return _Product.apply(inputs.reshape(-1, self.in_features), self.weight, self.bias).view(
            *inputs.shape[:-1], self.out_features
        )


class _Product(torch.autograd.Function):
    """``inputs @ weight.T + bias``; the operator beneath has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return faster_linear()(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        linear = faster_linear()
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            linear(gradient, weight.t(), None) if of_inputs else None,
            linear(gradient.t(), inputs.t(), None) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


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
