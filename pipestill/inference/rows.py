"""Rows of a batch that are being answered: prompts, answers so far, and their keys and values."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch

from pipestill.errors import UserError
from pipestill.inference.devices import input_device

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix

CPU_PROMPT_TOKENS = 2048  # of prompts that are read at a time: more leave the processor's caches
Hear = Callable[[int, Sequence[int]], bool]  # is told the row and tokens so far of an answer; false drops it


class Written(NamedTuple):
    """An answer.

    Attributes:
        tokens: the end included.
        ended: by the model itself; false for one that was cut, also where it was made whole, or dropped.
    """

    tokens: list[int]
    ended: bool


def prompt_groups(lengths: Sequence[int], token_budget: int) -> list[slice]:
    """Neighbours among prompts that are read together: rows times the longest prompt stay within the budget."""
    starts, longest = [0], 0
    for row, length in enumerate(lengths):
        longest = max(longest, length)
        if row > starts[-1] and (row + 1 - starts[-1]) * longest > token_budget:
            starts.append(row)
            longest = length
    return [slice(start, end) for start, end in pairwise([*starts, len(lengths)])]


class Rows:
    """Rows that are being answered: what they have read, and its keys and values.

    Attributes:
        lengths: of the prompts.
        tokens: ``[rows, length]``, prompts and answers so far; -1 where a row is padded, on the left.
        mask: ``[rows, length]``, 1 where keys and values are of a token: behind a prefix, padding stands between it and
            the rest of a prompt.
        capacity: columns of tokens that there is room for.
        prefix: keys and values of what all prompts begin with, if it has been read.
    """

    def __init__(
        self, model, prompts: Sequence[Sequence[int]], max_new_tokens: int, prefix: "SharedPrefix | None" = None
    ):
        from pipestill.inference.cache import roomy_cache

        self.lengths = list(map(len, prompts))
        longest = max(self.lengths)
        padded = [[-1] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        self.model = model
        self.tokens = torch.tensor(padded, device=input_device(model))
        self.mask = (self.tokens >= 0).long()
        self.capacity = longest + max_new_tokens
        self.cache = roomy_cache(model.config, self.capacity)
        self.prefix = prefix

    def groups(self) -> list[slice]:
        """Rows whose prompts are read together: on a CPU a few, which saves padding and fits its caches."""
        if self.tokens.device.type != "cpu":
            return [slice(None)]
        shared = 0 if self.prefix is None else self.prefix.get_seq_length()
        return prompt_groups([length - shared for length in self.lengths], CPU_PROMPT_TOKENS)

    def read_prompts(self) -> torch.Tensor:
        """Read all prompts; returns the logits behind them, ``[rows, vocab]`` float32."""
        from pipestill.inference.cache import has_room, put, roomy_cache

        groups, whole = self.groups(), self.tokens.shape[1]
        if self.prefix is not None:
            return torch.cat([self._read_behind(self.prefix, rows) for rows in groups])
        if len(groups) == 1 or not has_room(self.cache):
            return self.read(whole)
        logits = []
        for rows in groups:
            longest = max(self.lengths[rows])
            part = roomy_cache(self.model.config, longest)
            logits.append(self._read(self.tokens[rows, -longest:], self.mask[rows, -longest:], longest, part))
            put(part, self.cache, rows, len(self.lengths), whole)
        return torch.cat(logits)

    def _read_behind(self, prefix: "SharedPrefix", rows: slice) -> torch.Tensor:
        """Read the rest of some prompts behind ``prefix``; returns the logits behind them."""
        from pipestill.inference.cache import put, roomy_cache

        lengths = torch.tensor(self.lengths[rows], device=self.tokens.device)
        longest, shared = int(lengths.max()), prefix.get_seq_length()
        part = roomy_cache(self.model.config, longest)
        for layer, read in zip(part.layers, prefix.layers, strict=True):
            layer.update(*(each.expand(len(lengths), -1, -1, -1) for each in (read.keys, read.values)))
        columns = torch.arange(longest, device=lengths.device)
        mask = ((columns < shared) | (columns >= longest + shared - lengths[:, None])).long()
        self.mask[rows, -longest:] = mask
        logits = self._read(self.tokens[rows, -longest:], mask, longest - shared, part)
        put(part, self.cache, rows, len(self.lengths), self.tokens.shape[1])
        return logits

    def read(self, new: int) -> torch.Tensor:
        """Read the last ``new`` tokens of every row; returns the logits behind them, ``[rows, vocab]`` float32."""
        return self._read(self.tokens, self.mask, new, self.cache)

    def _read(self, tokens: torch.Tensor, mask: torch.Tensor, new: int, cache) -> torch.Tensor:
        output = self.model(
            input_ids=tokens[:, -new:].clamp(min=0),
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0)[:, -new:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return numbers(output.logits[:, -1].float())

    def append(self, tokens: torch.Tensor) -> None:
        """Add one of ``tokens`` ``[rows]`` to each row."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)

    def ragged_width(self, waiting: Sequence[int]) -> int:
        """How many new tokens are read next, of which row ``r`` has ``waiting[r]`` at most; all rows have one.

        Rows that have fewer are padded between old and new ones, where the cache has room: positions are counted by the
        mask. A cache that is about to be full is packed first. Layers with a sliding window count columns instead, so
        there all rows read equally many.
        """
        from pipestill.inference.cache import has_room, pack

        if not has_room(self.cache):
            return min(waiting)
        if self.tokens.shape[1] + max(waiting) > self.capacity:
            kept = int(self.mask.sum(dim=1).max())
            if kept < self.tokens.shape[1]:
                columns = self.mask.argsort(dim=1, stable=True)[:, -kept:]
                pack(self.cache, columns)
                self.tokens, self.mask = self.history()[:, -kept:], self.mask.gather(1, columns)
        return min(max(waiting), self.capacity - self.tokens.shape[1])

    def extend(self, tokens: Sequence[Sequence[int]]) -> None:
        """Add the tokens of each row, padded on the left to the longest; see :meth:`ragged_width`."""
        width = max(map(len, tokens))
        padded = [[-1] * (width - len(row)) + list(row) for row in tokens]
        new = torch.tensor(padded, device=self.tokens.device)
        self.tokens = torch.cat([self.tokens, new], dim=1)
        self.mask = torch.cat([self.mask, (new >= 0).to(self.mask.dtype)], dim=1)

    def history(self) -> torch.Tensor:
        """All tokens of each row, ``[rows, length]``; padding, -1, on the left alone."""
        order = (self.tokens >= 0).to(torch.uint8).argsort(dim=1, stable=True)
        return self.tokens.gather(1, order)

    def keep(self, places: Sequence[int]) -> None:
        """Keep the rows at ``places``, in this order; a row may be kept several times."""
        index = torch.tensor(places, device=self.tokens.device)
        self.tokens, self.mask = self.tokens[index], self.mask[index]
        self.cache.batch_select_indices(index)


class DecoderRows(Rows):
    """Rows of an encoder-decoder, whose prompts are read once, by the encoder.

    Attributes:
        lengths: of the prompts.
        tokens: ``[rows, length]``, the decoder's start and the answers so far.
        encoded: what the encoder made of the prompts, ``[rows, source, hidden]``.
        mask: ``[rows, source]`` of the prompts.
    """

    def __init__(self, model, prompts: Sequence[Sequence[int]], max_new_tokens: int):
        from transformers.modeling_outputs import BaseModelOutput

        from pipestill.inference.cache import two_part_cache

        self.lengths, self.prefix = list(map(len, prompts)), None
        padded = [list(prompt) + [-1] * (max(self.lengths) - len(prompt)) for prompt in prompts]
        source = torch.tensor(padded, device=input_device(model))
        self.model = model
        self.mask = (source >= 0).long()
        self.tokens = source.new_full((len(prompts), 1), model.config.decoder_start_token_id)
        self.encoded = BaseModelOutput(last_hidden_state=self._encode(source.clamp(min=0)))
        self.cache = two_part_cache(model.config, 1 + max_new_tokens)

    def _encode(self, source: torch.Tensor) -> torch.Tensor:
        parts = []
        for rows in self.groups():
            longest = max(self.lengths[rows])
            part = self.model.get_encoder()(input_ids=source[rows, :longest], attention_mask=self.mask[rows, :longest])
            parts.append(torch.nn.functional.pad(part.last_hidden_state, (0, 0, 0, source.shape[1] - longest)))
        return torch.cat(parts)

    def read_prompts(self) -> torch.Tensor:
        """Read the start of every answer; returns the logits behind it, ``[rows, vocab]`` float32."""
        return self.read(1)

    def read(self, new: int) -> torch.Tensor:
        """Read the last ``new`` tokens of every answer; returns the logits behind them, ``[rows, vocab]`` float32."""
        output = self.model(
            attention_mask=self.mask,
            encoder_outputs=self.encoded,
            decoder_input_ids=self.tokens[:, -new:],
            past_key_values=self.cache,
            use_cache=True,
        )
        return numbers(output.logits[:, -1].float())

    def append(self, tokens: torch.Tensor) -> None:
        """Add one of ``tokens`` ``[rows]`` to each row."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)

    def ragged_width(self, waiting: Sequence[int]) -> int:
        """How many new tokens are read next: equally many of all rows, as decoders count positions by columns."""
        return min(waiting)

    def extend(self, tokens: Sequence[Sequence[int]]) -> None:
        """Add the tokens of each row, equally many."""
        self.tokens = torch.cat([self.tokens, torch.tensor(tokens, device=self.tokens.device)], dim=1)

    def keep(self, places: Sequence[int]) -> None:
        """Keep the rows at ``places``, in this order; a row may be kept several times."""
        super().keep(places)
        index = torch.tensor(places, device=self.tokens.device)
        self.encoded.last_hidden_state = self.encoded.last_hidden_state[index]


def numbers(logits: torch.Tensor) -> torch.Tensor:
    """The same logits.

    Raises:
        UserError: one of them is not a number.
    """
    if logits.isnan().any():
        raise UserError("the model's output is not a number: use `precision: bf16` or `fp32`")
    return logits


def read_prompts(
    model, prompts: Sequence[Sequence[int]], max_new_tokens: int, prefix: "SharedPrefix | None" = None
) -> tuple[Rows, torch.Tensor]:
    """Rows for ``prompts`` and the logits behind them, ``[rows, vocab]`` float32; equal prompts are read once."""
    distinct = {prompt: place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    if model.config.is_encoder_decoder:
        rows: Rows = DecoderRows(model, list(distinct), max_new_tokens)
    else:
        rows = Rows(model, list(distinct), max_new_tokens, prefix)
    logits = rows.read_prompts()
    if len(distinct) < len(prompts):
        places = [distinct[tuple(prompt)] for prompt in prompts]
        logits = logits[places]
        rows.keep(places)
    return rows, logits


def ends_of(model) -> set[int]:
    """Tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return {ends} if isinstance(ends, int) else set(ends or ())
