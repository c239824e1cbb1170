"""What all prompts of a job begin with, which is read once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from pipestill.inference.devices import input_device

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix

MIN_PREFIX = 8  # tokens; copying a shorter shared prefix into every batch costs as much as reading it


def common_prefix_length(prompts: Sequence[Sequence[int]]) -> int:
    """Length of what all prompts begin with; at least the last token of each is left out, for it predicts the label.

    0 for a single prompt, which shares nothing.
    """
    if len(prompts) < 2:
        return 0
    lowest, highest = min(prompts, key=tuple), max(prompts, key=tuple)  # in this order the two that differ earliest
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if lowest[i] != highest[i]), limit)


@torch.inference_mode()
def read_prefix(model: torch.nn.Module, prefix: Sequence[int]) -> "SharedPrefix":
    """Keys and values of ``prefix``, ready to be lent."""
    from pipestill.inference.cache import SharedPrefix

    cache = SharedPrefix()
    ids = torch.tensor([list(prefix)], device=input_device(model))
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.frozen = True
    return cache
