"""The next token of each row: the likeliest one, or one that is drawn."""

import random
from collections.abc import Sequence
from typing import Protocol

import torch

from pipestill.settings.generation import GenerationConfig


class Choose(Protocol):
    """Chooses a next token for each row."""

    def __call__(
        self,
        tokens: torch.Tensor,
        logits: torch.Tensor,
        draws: Sequence[random.Random],
        allowed: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The tokens ``[rows]``; see :func:`chooser`."""


def chooser(decoding: GenerationConfig) -> Choose:
    """How a next token is chosen: ``(tokens so far [rows, length], logits [rows, vocab], random streams) -> [rows]``.

    Tokens are -1 where a row is padded. Samples are limited by transformers' own warpers, in its order. Where only some
    tokens are ``allowed`` ``[rows, vocab]``, one of them is taken, even if each would repeat something.
    """
    from transformers.generation.logits_process import (
        LogitsProcessorList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    size, warpers = decoding.no_repeat_ngram_size, LogitsProcessorList()
    if decoding.temperature != 1:
        warpers.append(TemperatureLogitsWarper(decoding.temperature))
    if decoding.top_k:
        warpers.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        warpers.append(TopPLogitsWarper(decoding.top_p))

    def choose(
        tokens: torch.Tensor,
        logits: torch.Tensor,
        draws: Sequence[random.Random],
        allowed: torch.Tensor | None = None,
    ) -> torch.Tensor:
        scores = forbid_repeats(tokens, logits, size) if size else logits
        if allowed is not None:
            scores = limit(scores, logits, allowed)
        if not decoding.sampling:
            return scores.argmax(dim=-1)
        return sample(warpers(tokens, scores), [draw.random() for draw in draws])

    return choose


def limit(scores: torch.Tensor, logits: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """``scores``, -inf where a token is not ``allowed``; ``logits`` instead, in rows in which nothing else is left.

    All are ``[rows, vocab]``.
    """
    limited = scores.masked_fill(~allowed, -torch.inf)
    hopeless = limited.amax(dim=-1, keepdim=True) == -torch.inf
    lowest = torch.finfo(logits.dtype).min
    return torch.where(hopeless, logits.clamp(min=lowest).masked_fill(~allowed, -torch.inf), limited)


def forbid_repeats(tokens: torch.Tensor, scores: torch.Tensor, size: int) -> torch.Tensor:
    """``scores`` ``[rows, vocab]``, with -inf where a token would complete ``size`` tokens that a row has already.

    Args:
        tokens: ``[rows, length]``, prompt and answer so far; -1 where a row is padded, on the left.
    """
    windows = tokens.unfold(1, size, 1) if tokens.shape[1] >= size else tokens.new_empty(len(tokens), 0, size)
    end = tokens[:, None, tokens.shape[1] - size + 1 :]
    begun = (windows[:, :, :-1] == end).all(dim=-1) & (windows[:, :, 0] >= 0)
    rows, places = begun.nonzero(as_tuple=True)
    return scores.index_put((rows, windows[rows, places, -1]), scores.new_tensor(-torch.inf))


def sample(scores: torch.Tensor, uniform: Sequence[float]) -> torch.Tensor:
    """The token of each row at which the cumulative probability passes ``uniform`` ``[rows]``, each in [0, 1).

    Args:
        scores: ``[rows, vocab]`` float32, logits or log-probabilities.
    """
    device = scores.device
    if device.type == "mps":
        scores = scores.cpu()  # it has no float64, without which the sum would lose rare tokens
    cumulative = scores.softmax(dim=-1).double().cumsum(dim=-1)
    drawn = torch.tensor(uniform, dtype=torch.float64, device=scores.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, drawn, right=True)[:, 0].clamp(max=scores.shape[-1] - 1).to(device)
