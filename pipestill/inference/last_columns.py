"""Reading only what is asked for: of the last layer nothing is needed but its last columns."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.functional import pad

ATTENTION = "pipestill_last_columns"  # name of :func:`_attend` where transformers looks for it
WAY = "sdpa"  # of attention that it stands for


@contextmanager
def last_columns(model: torch.nn.Module, count: int) -> Iterator[None]:
    """Inside, the last layer of a decoder computes the last ``count`` columns of ``[batch, columns, hidden]`` alone,
    but for the keys and values that they attend to; logits of others are of no use.

    Its parts work on each column by itself, so those that count are the same but for rounding. A part that goes by
    another name than most models give it, or attends in another way than ``sdpa``, reads all columns.
    """
    layer = _last_layer(model)
    attention = getattr(layer, "self_attn", None)
    with ExitStack() as stack:
        for part in (getattr(layer, "mlp", None), getattr(attention, "o_proj", None)):
            if part is not None:
                stack.enter_context(_narrowed(part, count))
        config = getattr(attention, "config", None)
        if getattr(config, "_attn_implementation", None) == WAY:
            stack.callback(setattr, attention, "config", config)
            attention.config = _attending(config, count)
        yield


def _last_layer(model: torch.nn.Module) -> torch.nn.Module | None:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    layers = getattr(inner.get_decoder(), "layers", None)
    return layers[-1] if layers else None


@contextmanager
def _narrowed(part: torch.nn.Module, count: int) -> Iterator[None]:
    """Inside, a part of a layer reads the last ``count`` columns, and zeros stand for what it makes of others."""
    widths: list[int] = []

    def shorten(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        widths.append(given[0].shape[1])
        return (given[0][:, -count:], *given[1:])

    def widen(module: torch.nn.Module, given: object, made: Any) -> Any:
        missing = max(0, widths.pop() - count)
        if isinstance(made, tuple):  # with what a mixture of experts says of itself
            return (pad(made[0], (0, 0, missing, 0)), *made[1:])
        return pad(made, (0, 0, missing, 0))

    with ExitStack() as stack:
        for handle in (part.register_forward_pre_hook(shorten), part.register_forward_hook(widen)):
            stack.callback(handle.remove)
        yield


def _attending(config: Any, count: int) -> Any:
    """``config`` of an attention whose last ``count`` columns alone attend."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)
    config = copy.copy(config)
    config._attn_implementation, config.last_columns = ATTENTION, count
    return config


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of the last columns, ``[batch, columns, heads, head_dim]``; zeros for others.

    Args:
        module: whose ``config`` says how many columns.
        query: ``[batch, heads, columns, head_dim]``.
        key: ``[batch, key-value heads, read, head_dim]``, and so is ``value``.
        attention_mask: ``[batch, 1, columns, read]``.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    count = module.config.last_columns
    wanted, mask = query[:, :, -count:], attention_mask[:, :, -count:]
    made, _ = sdpa_attention_forward(module, wanted, key, value, mask, **kwargs)
    return pad(made, (0, 0, 0, 0, query.shape[2] - made.shape[1], 0)), None
