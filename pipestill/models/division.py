"""Weights that are divided among the processes of a job (FSDP): each holds a part of every tensor."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from pipestill.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule

T = TypeVar("T")
Within = Callable[[Callable[[], Any]], Any]


def undivided(work: Callable[[], T]) -> T:
    """What ``work`` gives, with weights that are whole anyway."""
    return work()


class Divided(torch.nn.Module):
    """Called with a function, it calls that while the model's layers find whole weights.

    A gradient of what the function returns becomes that of the parts: the sum over all processes.

    Args:
        model: whose layers gather their own weights, for as long as they work; it keeps its names and functions.
    """

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], T]) -> T:
        """What ``work`` gives; the weights outside of layers, such as those of the head, are whole inside."""
        return work()


def divide(model: torch.nn.Module, device: str, *, head_stays: bool = False) -> Divided:
    """Divide the weights of ``model`` among all processes, in place; all must call it, and what comes out.

    Args:
        model: of transformers, with an adapter or without, in main memory.
        device: kind of device that the parts go to, ``cpu`` or ``cuda``.
        head_stays: from the first call on, what stands outside of layers stays whole: of a model that is only read.

    Raises:
        UserError: a model that cannot be divided.
    """
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.distributed_c10d import _get_default_group
    from torch.distributed.fsdp import fully_shard
    from transformers.modeling_layers import GradientCheckpointingLayer  # what transformers calls a layer

    warnings.filterwarnings("ignore", "FSDP2-wrapped module")  # T5's layers give views, which nothing writes to
    mesh = DeviceMesh.from_group(_get_default_group(), device)
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    whole = Divided(model)
    try:
        for module in (*layers, whole):
            part: FSDPModule = fully_shard(
                module, mesh=mesh, reshard_after_forward=module is not whole or not head_stays
            )
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # gloo has no other
    except ValueError as error:
        raise UserError(
            f"the weights of this model cannot be divided ({error}): set `hardware.strategy: ddp`"
        ) from error
    return whole


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that may be divided, whole; all processes must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def collected(tensors: Mapping[str, torch.Tensor], keep: bool) -> dict[str, torch.Tensor]:
    """Tensors that may be divided, whole and in main memory if they are; all processes must ask.

    Args:
        tensors: by name.
        keep: this process wants them; the others get none.
    """
    found = {}
    for name, tensor in tensors.items():
        if hasattr(tensor, "full_tensor"):
            tensor = tensor.detach().full_tensor().cpu()  # one at a time: all of them may not fit on a device
        if keep:
            found[name] = tensor
    return found


def divided_like(tensor: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """This process's part of a whole ``tensor``, if ``model`` is divided and of its shape."""
    if not hasattr(model, "full_tensor") or tensor.shape != model.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(model.device), model.device_mesh, model.placements, src_data_rank=None)


def collected_state(state: Mapping[str, Any], keep: bool) -> dict[str, Any]:
    """The state of an optimizer, ``state_dict()``, with whole tensors; see :func:`collected`."""
    return {**state, "state": {number: collected(values, keep) for number, values in state["state"].items()}}


def divided_state(state: Mapping[str, Any], parameters: Sequence[torch.Tensor]) -> dict[str, Any]:
    """The same state with this process's parts for ``parameters``, in the optimizer's order."""
    parts = {
        number: {name: divided_like(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": parts}
