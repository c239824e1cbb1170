"""Reading only what is asked for: of the last layer nothing is needed but its last columns."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.functional import pad


@contextmanager
def last_columns(model: torch.nn.Module, count: int) -> Iterator[None]:
    """Inside, the feed-forward part of the last layer reads the last ``count`` columns of ``[batch, columns, hidden]``
    alone; logits of others are of no use.

    It works on each column by itself, so those that count are the same but for rounding. Models that call it otherwise
    than ``mlp`` read all of it.
    """
    part = _feed_forward(model)
    with ExitStack() as stack:
        if part is not None:
            widths: list[int] = []

            def shorten(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
                widths.append(given[0].shape[1])
                return (given[0][:, -count:], *given[1:])

            def widen(module: torch.nn.Module, given: object, made: Any) -> Any:
                missing = max(0, widths.pop() - count)
                if isinstance(made, tuple):  # with what a mixture of experts says of itself
                    return (pad(made[0], (0, 0, missing, 0)), *made[1:])
                return pad(made, (0, 0, missing, 0))

            for handle in (part.register_forward_pre_hook(shorten), part.register_forward_hook(widen)):
                stack.callback(handle.remove)
        yield


def _feed_forward(model: torch.nn.Module) -> torch.nn.Module | None:
    """The feed-forward part of the last layer of a decoder."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    layers = getattr(inner.get_decoder(), "layers", None)
    return getattr(layers[-1], "mlp", None) if layers else None
