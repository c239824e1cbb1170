"""Masked models (BERT): tokens that were hidden, mostly behind a mask.

Devlin et al. 2019, https://arxiv.org/abs/1810.04805, section 3.1: 15 % of a document's tokens are to be predicted; of
these 80 % are masked, 10 % replaced by random ones and 10 % left as they are. Answers are chosen more often than the
rest, as there the model learns to compare; chosen evenly, one in seven short answers would be learnt.
"""

from random import Random
from typing import ClassVar

from torch import Tensor, nn

from pipestill.pretraining.architecture import Architecture
from pipestill.pretraining.batch import IGNORE, Batch, Encoded, pack
from pipestill.pretraining.corpus import pairs
from pipestill.pretraining.corpus.document import END_OF_TEXT, Document
from pipestill.pretraining.corpus.mixture import Family
from pipestill.pretraining.induction import initialise_bert
from pipestill.pretraining.recipe import BertShape
from pipestill.pretraining.tokenizer import END, MASK, PAD, SPECIAL_TOKENS, VOCABULARY

CHOSEN = 0.15  # share of a document's tokens
MASKED, REPLACED = 0.8, 0.1  # shares of these
ANSWERS = 4.0  # how much more often an answer's token is chosen
DIFFERENCES = Family("differences", 13, pairs.difference)  # without them it finds no other difference than a "not"
MASK_ID = SPECIAL_TOKENS.index(MASK)


def hide(ids: list[int], weights: list[float], rng: Random) -> Encoded:
    """Hide tokens, each drawn without replacement by its weight (Efraimidis and Spirakis 2006, algorithm A)."""
    drawn = sorted(range(len(ids)), key=lambda place: rng.random() ** (1 / weights[place]), reverse=True)
    read, labels = list(ids), [IGNORE] * len(ids)
    for place in drawn[: max(1, round(len(ids) * CHOSEN))]:
        labels[place] = ids[place]
        draw = rng.random()
        if draw < MASKED:
            read[place] = MASK_ID
        elif draw < MASKED + REPLACED:
            read[place] = rng.randrange(len(SPECIAL_TOKENS), VOCABULARY)
    return Encoded(read, labels)


def _asked(document: Document, tokenizer) -> Encoded:
    """Hide what is to be learnt, all of it and nothing else."""
    ids: list[int] = []
    labels: list[int] = []
    for text, learnt in document.segments:
        part = tokenizer.encode(text, add_special_tokens=False).ids
        ids += [MASK_ID] * len(part) if learnt else part
        labels += part if learnt else [IGNORE] * len(part)
    return Encoded([*ids, END], [*labels, IGNORE])


class Masked(Architecture):
    """BERT: learns the hidden tokens."""

    further: ClassVar[tuple[Family, ...]] = (DIFFERENCES,)

    def build(self, shape: BertShape, vocabulary: int, seed: int) -> nn.Module:
        """A BERT model with the copy circuit set; without dropout, as its studies are short."""
        from transformers import BertConfig, BertForMaskedLM

        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            max_position_embeddings=1024,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            eos_token_id=END,
            pad_token_id=PAD,
        )
        model = BertForMaskedLM(config).float()
        initialise_bert(model, seed)
        return model

    def encode(self, document: Document, tokenizer, rng: Random) -> Encoded:
        """Plain text, or questions and answers line by line, with the end of sequence."""
        if document.family == DIFFERENCES.name:
            return _asked(document, tokenizer)
        lines = [line for turn in document.turns for line in turn] or [document.text.removesuffix(END_OF_TEXT)]
        ids: list[int] = []
        weights: list[float] = []
        for number, line in enumerate(lines):
            part = tokenizer.encode(line if number == 0 else f"\n{line}", add_special_tokens=False).ids
            ids += part
            weights += [ANSWERS if number % 2 else 1.0] * len(part)
        return hide([*ids, END], [*weights, 1.0], rng)

    def copied(self, string: list[int], rng: Random) -> Encoded:
        """``string`` two times: what is hidden in one stands in the other."""
        return hide(string * 2, [1.0] * 2 * len(string), rng)

    def pack(self, rows: list[list[Encoded]], lengths: tuple[int]) -> Batch:
        """Each label in its place."""
        return pack(rows, *lengths, pad=PAD, ahead=0)

    def supervised_logits(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits ``[supervised tokens, vocab]`` and their targets."""
        hidden = model.bert(
            input_ids=batch.ids, attention_mask=batch.sees(batch), position_ids=batch.positions
        ).last_hidden_state
        wanted = batch.labels != IGNORE
        return model.cls(hidden[wanted]), batch.labels[wanted]
