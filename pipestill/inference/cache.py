"""Keys and values of a batch whose final length is known."""

from typing import Any

import torch
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer


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

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows ``indices``, in this order."""
        end = self.get_seq_length()
        self.room = [room.index_select(0, indices) for room in self.room]
        self._show(end)

    def _show(self, end: int) -> None:
        self.keys, self.values = (room[:, :, :end] for room in self.room)


def roomy_cache(config: PreTrainedConfig, capacity: int) -> DynamicCache:
    """A cache for ``capacity`` tokens; layers with a sliding window keep their own kind."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
