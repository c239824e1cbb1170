"""Parts of a model that are cut: its stacks, their feed-forward parts and linear layers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipestill.plan.compressible import Family, Stack, family_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class FeedForward:
    """A feed-forward part.

    Attributes:
        module: that has the layers.
        into: linear layers that write its channels.
        out: linear layer that reads them.
    """

    module: torch.nn.Module
    into: tuple[torch.nn.Linear, ...]
    out: torch.nn.Linear


def family(model: "PreTrainedModel") -> Family:
    """As :func:`~pipestill.plan.compressible.family_of`, of a model."""
    return family_of({"model_type": model.config.model_type})


def stacks(model: "PreTrainedModel") -> dict[Stack, torch.nn.ModuleList]:
    """The layers of each stack."""
    return {stack: model.base_model.get_submodule(stack.path) for stack in family(model).stacks}


def feed_forwards(model: "PreTrainedModel") -> list[FeedForward]:
    """The feed-forward part of each layer, stack by stack."""
    known, found = family(model), []
    for stack, layers in stacks(model).items():
        for layer in layers:
            part = layer.get_submodule(stack.feed_forward) if stack.feed_forward else layer
            parts = dict(part.named_modules())
            into = tuple(parts[name] for name in known.into if name in parts)
            found.append(FeedForward(part, into, parts[known.out]))
    return found


def linear_layers(model: "PreTrainedModel") -> dict[str, torch.nn.Linear]:
    """Linear layers of the stacks by name; the head, and what stands between it and the stacks, are none of them."""
    inside = {id(module) for layers in stacks(model).values() for module in layers.modules()}
    return {name: module for name, module in _linear(model) if id(module) in inside}


def others(model: "PreTrainedModel") -> list[str]:
    """Names of the linear layers outside of the stacks."""
    inside = linear_layers(model)
    return [name for name, _ in _linear(model) if name not in inside]


def _linear(model: "PreTrainedModel") -> Iterator[tuple[str, torch.nn.Linear]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
