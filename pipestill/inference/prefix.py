"""What all prompts of a job begin with, or of a server, which is read once."""

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


class KeptPrefix:
    """What the prompts of all calls so far begin with, whose keys and values are kept from one call to the next."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.cache: SharedPrefix | None = None

    def of(self, model: torch.nn.Module, prompts: Sequence[Sequence[int]]) -> "SharedPrefix | None":
        """Keys and values of what ``prompts`` begin with; none while too little is known, or shared.

        Logits behind them are those of whole prompts but for rounding.
        """
        shared = common_prefix_length([*prompts, [*self.tokens, -1]]) if self.tokens else 0
        if shared < MIN_PREFIX:  # a first call, or prompts of another kind
            self.tokens, self.cache = list(prompts[0]), None
            return None
        if self.cache is None:
            self.cache = read_prefix(model, prompts[0][:shared])
        elif shared < len(self.tokens):
            self.cache.crop(shared - len(self.tokens))
        self.tokens = self.tokens[:shared]
        return self.cache
