"""Answers to prompts, greedy or sampled, in batches of similar length that rows leave as soon as they are finished."""

import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from pipestill.errors import UserError
from pipestill.inference.decoding import Choose, chooser
from pipestill.inference.devices import input_device
from pipestill.inference.prefix import MIN_PREFIX, common_prefix_length, read_prefix
from pipestill.io.normal import clean
from pipestill.settings.generation import GenerationConfig
from pipestill.text.marker import split

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix

BATCH_TOKENS = 16384  # prompts, padding and room for answers
CPU_PROMPT_TOKENS = 2048  # of prompts that are read at a time: more leave the processor's caches
GREEDY = GenerationConfig()


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: without special tokens and surrounding spaces, in the normal form of texts.
        tokens: how many were generated, the end included.
        rationale: what was written before it and the marker, where that was asked for; none without a marker.
    """

    text: str
    tokens: int
    rationale: str | None = None


def length_sorted_batches(lengths: Sequence[int], new_tokens: int, token_budget: int) -> list[list[int]]:
    """Indices of prompts in batches, longest first; rows times (longest prompt + new tokens) stay within the budget.

    A prompt that exceeds the budget by itself is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * (lengths[batches[-1][0]] + new_tokens) > token_budget:
            batches.append([])
        batches[-1].append(index)
    return batches


def prompt_groups(lengths: Sequence[int], token_budget: int) -> list[slice]:
    """Neighbours among prompts that are read together: rows times the longest prompt stay within the budget."""
    starts, longest = [0], 0
    for row, length in enumerate(lengths):
        longest = max(longest, length)
        if row > starts[-1] and (row + 1 - starts[-1]) * longest > token_budget:
            starts.append(row)
            longest = length
    return [slice(start, end) for start, end in pairwise([*starts, len(lengths)])]


def generate(
    model,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    decoding: GenerationConfig = GREEDY,
    keys: Sequence[str] = (),
    token_budget: int | None = None,
    done: Container[int] = (),
    after_rationale: bool = False,
    shared: int = 0,
) -> Iterator[list[tuple[int, Answer]]]:
    """Answer ``prompts``, batch by batch, longest prompts first.

    What a row draws depends only on its key, not on the rows beside it, on threads or on what an earlier process
    finished; only a draw that falls between two tokens by less than the rounding of their probabilities can differ.
    Decoding is as ``decoding`` says: of a model's own generation config nothing counts but the ends of sequence.

    Args:
        model: a causal model or an encoder-decoder of transformers (or a peft or quantised one) in eval mode.
        prompts: token ids of each prompt; of :func:`~pipestill.models.prompts.encode_source` for an encoder.
        max_new_tokens: where an answer without an end is cut.
        decoding: greedy, or how to sample. As everywhere in transformers, ``no_repeat_ngram_size`` counts the n-grams
            of the prompt too, where one model reads both.
        keys: what the random stream of each row is made from, such as its sampling seed and id; for sampling.
        token_budget: tokens per batch, padding and answers included. After an out-of-memory error of the accelerator
            the batch is halved, tried again, and later ones are no larger. Default: :data:`BATCH_TOKENS`.
        done: indices of prompts that an earlier process has finished. Batches are composed as if nothing were, so
            that a resumed run gives the same answers as one that was not stopped.
        after_rationale: what is generated is a rationale, a marker and the answer; see :mod:`pipestill.text.marker`.
        shared: tokens that all prompts begin with and that are read once, see :func:`shared_length`. Logits behind them
            are those of whole prompts but for rounding.

    Returns:
        Iterator over batches of (index of the prompt, its answer).

    Raises:
        UserError: a prompt is empty or too long for the model, the model's output is not a number, or one prompt does
            not fit in memory.
    """
    _check_lengths(model, prompts, max_new_tokens)
    if decoding.sampling and len(keys) != len(prompts):
        raise ValueError(f"{len(keys)} keys for {len(prompts)} prompts")
    prefix = read_prefix(model, prompts[0][:shared]) if shared else None
    budget = token_budget or BATCH_TOKENS
    batches = _generate(model, tokenizer, prompts, max_new_tokens, decoding, keys, budget, done, prefix)
    if not after_rationale:
        return batches
    return ([(index, _without_rationale(answer)) for index, answer in batch] for batch in batches)


def shared_length(model, prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with, if a model can be asked behind keys and values of them; else 0.

    Encoders and layers with a sliding window read every prompt whole.
    """
    from pipestill.inference.cache import has_room, roomy_cache

    length = common_prefix_length(prompts)
    if length < MIN_PREFIX or model.config.is_encoder_decoder or not has_room(roomy_cache(model.config, 1)):
        return 0
    return length


def _without_rationale(answer: Answer) -> Answer:
    rationale, text = split(answer.text)
    return Answer(text, answer.tokens, rationale)


def _generate(
    model,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    decoding: GenerationConfig,
    keys: Sequence[str],
    token_budget: int,
    done: Container[int],
    prefix: "SharedPrefix | None",
) -> Iterator[list[tuple[int, Answer]]]:
    choose, lengths = chooser(decoding), [len(prompt) for prompt in prompts]
    waiting = length_sorted_batches(lengths, max_new_tokens, token_budget)
    while waiting:
        batch = waiting[0]
        wanted = [row for row, index in enumerate(batch) if index not in done]
        if wanted:
            draws = [random.Random(keys[index]) for index in batch] if decoding.sampling else []
            try:
                asked = [prompts[index] for index in batch]
                answers = answer_batch(model, asked, max_new_tokens, choose, draws, prefix)
            except torch.OutOfMemoryError:
                answers = None  # try again outside of this block, where the failed pass no longer holds its tensors
            if answers is None:
                if len(batch) == 1:
                    raise UserError(
                        f"prompt {batch[0]} ({lengths[batch[0]]} tokens) and its answer do not fit in the "
                        "accelerator's memory: shorten it or use a smaller or quantised model"
                    )
                torch.cuda.empty_cache()
                rest = [index for later in waiting for index in later]
                token_budget = len(batch) // 2 * (lengths[batch[0]] + max_new_tokens)
                smaller = length_sorted_batches([lengths[index] for index in rest], max_new_tokens, token_budget)
                waiting = [[rest[place] for place in places] for places in smaller]
                continue
            texts = tokenizer.batch_decode([answers[row] for row in wanted], skip_special_tokens=True)
            yield [
                (batch[row], Answer(clean(text).strip(), len(answers[row])))
                for row, text in zip(wanted, texts, strict=True)
            ]
        waiting = waiting[1:]


def _check_lengths(model, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    for index, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise UserError(f"prompt {index} has no tokens: an answer needs at least one before it")
        together = max if model.config.is_encoder_decoder else sum  # encoder and decoder count positions apart
        if limit and together((len(prompt), max_new_tokens)) > limit:
            raise UserError(
                f"prompt {index} has {len(prompt)} tokens and its answer up to {max_new_tokens}, but the model reads "
                f"at most {limit}: shorten the prompt or lower `max_new_tokens`"
            )


class Rows:
    """Rows that are being answered: what they have read, and its keys and values.

    Attributes:
        lengths: of the prompts.
        tokens: ``[rows, length]``, prompts and answers so far; -1 where a row is padded, on the left.
        mask: ``[rows, length]``, 1 where keys and values are of a token: behind a prefix, padding stands between it and
            the rest of a prompt.
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
        self.cache = roomy_cache(model.config, longest + max_new_tokens)
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


@torch.inference_mode()
def answer_batch(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    choose: Choose,
    draws: Sequence[random.Random],
    prefix: "SharedPrefix | None" = None,
) -> list[list[int]]:
    """Tokens of the answers to one batch of prompts, the end included; equal prompts are read once.

    Args:
        choose: see :func:`~pipestill.inference.decoding.chooser`.
        draws: random stream of each row, for sampling.
        prefix: keys and values of what all prompts begin with, of a causal model.
    """
    ends = _ends(model)
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
    answers: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))  # prompts whose answers go on, in the order of the rows
    while True:
        chosen = choose(rows.tokens, logits, [draws[index] for index in going] if draws else [])
        for index, token in zip(going, chosen.tolist(), strict=True):
            answers[index].append(token)
        rows.append(chosen)
        places = [
            place
            for place, index in enumerate(going)
            if answers[index][-1] not in ends and len(answers[index]) < max_new_tokens
        ]
        if not places:
            return answers
        if len(places) < len(going):
            rows.keep(places)
            going = [going[place] for place in places]
        logits = rows.read(1)


def _ends(model) -> set[int]:
    """Tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return {ends} if isinstance(ends, int) else set(ends or ())
