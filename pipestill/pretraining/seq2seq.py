"""Encoder-decoders (T5): answers to questions, the missing spans of plain text, and copying.

Raffel et al. 2020, https://arxiv.org/abs/1910.10683, sections 3.1.4 (spans of 3 tokens on average, 15 % of the text,
each replaced by a sentinel). A chat document is cut at one of its questions, as in fine-tuning; mostly all of its
answers are taken out like spans instead, which learns from each of them for one pass of the encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipestill.pretraining.architecture import Architecture
from pipestill.pretraining.batch import IGNORE, Batch, Encoded, pack
from pipestill.pretraining.corpus.document import END_OF_TEXT, Document
from pipestill.pretraining.induction import initialise_t5
from pipestill.pretraining.recipe import T5Shape
from pipestill.pretraining.tokenizer import END, PAD, SENTINELS

CORRUPTED = 0.15  # share of the tokens of plain text
SPAN = 3  # tokens, on average
SINGLE = 0.25  # share of the documents with several questions that ask one of them
TARGET = 3 / 8  # length of the decoder's rows by that of the encoder's


@dataclass(frozen=True)
class Pair:
    """Token ids that the encoder reads and those of the answer, both with the end of sequence."""

    source: list[int]
    target: list[int]

    @property
    def sizes(self) -> tuple[int, int]:
        """Lengths in the encoder and, with the token that answers start after, in the decoder."""
        return len(self.source), len(self.target) + 1


@dataclass(frozen=True)
class PairBatch:
    """Packed rows of pairs; a document has the same number in both parts of its row."""

    source: Batch
    target: Batch

    @property
    def tokens(self) -> int:
        """Tokens that are not padding, in both."""
        return self.source.tokens + self.target.tokens

    def content(self) -> bytes:
        """Bytes of everything that the model reads and learns, for digests."""
        return self.source.content() + self.target.content()


def corrupt(ids: list[int], sentinels: list[int], rng: Random) -> Pair:
    """Replace random spans of ``ids`` by sentinels; the target is each sentinel with what it stands for.

    Raises:
        ValueError: there are fewer than two tokens, so nothing would be left.
    """
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} tokens are too few to hide some and keep some")
    hidden = min(len(ids) - 1, max(1, round(len(ids) * CORRUPTED)))
    spans = max(1, min(round(hidden / SPAN), len(sentinels), len(ids) - hidden))
    lengths, gaps = _parts(hidden, spans, rng), _parts(len(ids) - hidden, spans, rng)
    source: list[int] = []
    target: list[int] = []
    place = 0
    for sentinel, gap, length in zip(sentinels, gaps, lengths, strict=False):
        source += [*ids[place : place + gap], sentinel]
        target += [sentinel, *ids[place + gap : place + gap + length]]
        place += gap + length
    return Pair([*source, END], [*target, END])


def _parts(total: int, parts: int, rng: Random) -> list[int]:
    """``total`` as a random sum of ``parts`` numbers above 0."""
    cuts = sorted(rng.sample(range(1, total), parts - 1))
    return [end - start for start, end in pairwise([0, *cuts, total])]


def _additive(mask: Tensor) -> Tensor:
    """``mask`` as numbers to add to the logits, which T5 would otherwise make again in each layer."""
    return torch.zeros(mask.shape).masked_fill_(~mask, torch.finfo(torch.float32).min)


class Seq2Seq(Architecture):
    """T5: the decoder learns each next token of an answer."""

    emphasis: ClassVar[Mapping[str, float]] = {"reports": 8.0}  # what encoder-decoders are for in the embedded default

    def build(self, shape: T5Shape, vocabulary: int, seed: int) -> nn.Module:
        """A T5 model with the copy circuit set; without dropout, as its studies are short."""
        from transformers import T5Config, T5ForConditionalGeneration

        config = T5Config(
            vocab_size=vocabulary,
            d_model=shape.hidden,
            d_kv=shape.hidden // shape.heads,
            d_ff=shape.intermediate,
            num_layers=shape.layers,
            num_decoder_layers=shape.layers,
            num_heads=shape.heads,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            eos_token_id=END,
            pad_token_id=PAD,
            decoder_start_token_id=PAD,
        )
        model = T5ForConditionalGeneration(config).float()
        initialise_t5(model, seed)
        return model

    def encode(self, document: Document, tokenizer, rng: Random) -> Pair:
        """One answer or all answers of a chat document; hidden spans of plain text."""

        def tokens(text: str) -> list[int]:
            return tokenizer.encode(text, add_special_tokens=False).ids

        turns = document.turns[: len(SENTINELS)]
        if not turns:
            ids = tokens(document.text.removesuffix(END_OF_TEXT))
            return corrupt(ids, [tokenizer.token_to_id(name) for name in SENTINELS], rng)
        if len(turns) == 1 or rng.random() < SINGLE:
            *before, (question, answer) = turns[: rng.randint(1, len(turns))]
            asked = [line for turn in before for line in turn] + [question]
            return Pair([*tokens("\n".join(asked)), END], [*tokens(answer), END])
        marked = [(question, name + answer) for (question, answer), name in zip(turns, SENTINELS, strict=False)]
        asked = [line for (question, _), name in zip(turns, SENTINELS, strict=False) for line in (question, name)]
        return Pair([*tokens("\n".join(asked)), END], [*tokens("".join(answer for _, answer in marked)), END])

    def copied(self, string: list[int], rng: Random) -> Pair:
        """``string`` for both sides."""
        return Pair([*string, END], [*string, END])

    def longest_string(self, room: int) -> int:
        """All but start and end."""
        return room - 2

    def lengths(self, length: int) -> tuple[int, int]:
        """Tokens of the encoder's and of the decoder's rows."""
        return length, round(length * TARGET)

    def pack(self, rows: list[list[Pair]], lengths: tuple[int, int]) -> PairBatch:
        """The encoder's part learns nothing; the decoder's starts with the padding and learns each next token."""
        sources = [[Encoded(pair.source, [IGNORE] * len(pair.source)) for pair in row] for row in rows]
        targets = [[Encoded([PAD, *pair.target], [IGNORE, *pair.target]) for pair in row] for row in rows]
        return PairBatch(pack(sources, lengths[0], PAD), pack(targets, lengths[1], PAD))

    def supervised_logits(self, model: nn.Module, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Logits ``[supervised tokens, vocab]`` and their targets."""
        source, target = batch.source, batch.target
        read = model.encoder(input_ids=source.ids, attention_mask=_additive(source.sees(source))).last_hidden_state
        hidden = model.decoder(
            input_ids=target.ids,
            attention_mask=_additive(target.mask()),
            encoder_hidden_states=read,
            encoder_attention_mask=_additive(target.sees(source)),
            use_cache=False,
        ).last_hidden_state
        wanted = target.labels != IGNORE
        return model.lm_head(hidden[wanted] * model.model_dim**-0.5), target.labels[wanted]
