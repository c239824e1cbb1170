"""Keys and values that are lent to batches, or that have room for what is to come.

Imported only where a model is asked, for it imports transformers; see :func:`pipestill.job.startup.need`.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer


class SharedPrefix(DynamicCache):
    """Keys and values of the common prefix. Once ``frozen``, they are lent to a batch and nothing is added."""

    frozen = False

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        """Keys and values that a layer attends to, ``[batch, heads, prefix + new, head_dim]`` each."""
        if not self.frozen:
            return super().update(key_states, value_states, layer_idx, *args, **kwargs)
        layer, batch = self.layers[layer_idx], len(key_states)
        return (
            torch.cat([layer.keys.expand(batch, -1, -1, -1), key_states], dim=-2),
            torch.cat([layer.values.expand(batch, -1, -1, -1), value_states], dim=-2),
        )


class RoomyLayer(DynamicLayer):
    """Keys and values with room for the whole answer: a new token is written, where growing would copy all others.

    Args:
        capacity: tokens of prompt and answer.
    """

    def __init__(self, capacity: int):
        super().__init__()
        self.capacity = capacity
        self.room: list[torch.Tensor] = []  # keys and values, [rows, heads, capacity, head_dim] each

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any):
        """Add ``[rows, heads, new, head_dim]`` each; returns all keys and values so far."""
        start = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            rows, heads, _, _ = key_states.shape
            self.room = [new.new_empty(rows, heads, self.capacity, new.shape[-1]) for new in (key_states, value_states)]
        end = start + key_states.shape[-2]
        for room, new in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        self._show(end)
        return self.keys, self.values

    def put(self, read: DynamicLayer, rows: slice, count: int, end: int) -> None:
        """Take over what some prompts have been read to; see :func:`put`."""
        if not self.is_initialized:
            self.lazy_initialization(read.keys, read.values)
            _, heads, _, _ = read.keys.shape
            self.room = [
                new.new_zeros(count, heads, self.capacity, new.shape[-1])  # padding is masked, but must be a number
                for new in (read.keys, read.values)
            ]
        for room, new in zip(self.room, (read.keys, read.values), strict=True):
            room[rows, :, end - new.shape[-2] : end] = new
        self._show(end)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows ``indices``, in this order."""
        end = self.get_seq_length()
        self.room = [room.index_select(0, indices) for room in self.room]
        self._show(end)

    def pack(self, columns: torch.Tensor) -> None:
        """Keep the tokens ``columns`` ``[rows, kept]`` of each row, in this order."""
        rows, heads, _, width = self.room[0].shape
        index = columns[:, None, :, None]
        for room in self.room:
            room[:, :, : columns.shape[1]] = room.gather(2, index.expand(rows, heads, -1, width))
        self._show(columns.shape[1])

    def _show(self, end: int) -> None:
        self.keys, self.values = (room[:, :, :end] for room in self.room)


def roomy_cache(config: PreTrainedConfig, capacity: int) -> DynamicCache:
    """A cache for ``capacity`` tokens; layers with a sliding window keep their own kind."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def has_room(cache: DynamicCache) -> bool:
    """Whether rows that were read apart can be :func:`put` into ``cache``."""
    return all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def pack(cache: DynamicCache, columns: torch.Tensor) -> None:
    """Keep the tokens ``columns`` ``[rows, kept]`` of each row of a cache that :func:`has_room`, in this order."""
    for layer in cache.layers:
        layer.pack(columns)


def put(read: DynamicCache, cache: DynamicCache, rows: slice, count: int, end: int) -> None:
    """Take over what some prompts have been read to into the cache of all of them.

    Args:
        read: cache of the prompts ``rows``, padded on the left.
        cache: of ``count`` rows, see :func:`has_room`.
        end: tokens of the longest prompt of all; all prompts end there.
    """
    for layer, part in zip(cache.layers, read.layers, strict=True):
        layer.put(part, rows, count, end)


def two_part_cache(config: PreTrainedConfig, capacity: int) -> EncoderDecoderCache:
    """A cache for an encoder-decoder that has read its prompts and writes at most ``capacity`` tokens."""
    return EncoderDecoderCache(roomy_cache(config, capacity), DynamicCache(config=config))


def kept_bytes(config: PreTrainedConfig, width: int) -> Callable[[int, int], int]:
    """Bytes of the keys and values of one query, as they are kept until its answer is whole.

    Each layer keeps ``2 * key-value heads * head_dim`` numbers a token; a layer with a sliding window those of its last
    tokens only. The decoder of an encoder-decoder keeps those of the prompt and of the answer.

    Args:
        config: of a causal model or an encoder-decoder.
        width: bytes of a number.

    Returns:
        Tokens of the prompt and of the answer, whose last one is read no more, to bytes.
    """
    own = config.get_text_config(decoder=True)
    heads = getattr(own, "num_key_value_heads", None) or own.num_attention_heads
    head_dim = getattr(own, "head_dim", None) or own.hidden_size // own.num_attention_heads
    a_token = 2 * heads * head_dim * width
    if config.is_encoder_decoder:
        layers = getattr(own, "num_decoder_layers", None) or own.num_hidden_layers
        return lambda prompt, written: a_token * layers * (prompt + max(1, written))
    windows = [getattr(layer, "sliding_window", None) for layer in DynamicCache(config=config).layers]

    def kept(prompt: int, written: int) -> int:
        tokens = prompt + max(0, written - 1)
        return a_token * sum(min(tokens, window - 1) if window else tokens for window in windows)

    return kept
