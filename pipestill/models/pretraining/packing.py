"""Batches of packed documents, each a pure function of (seed, step): a resumed run sees what an unbroken one would.

Several documents share a row. They never see each other: attention is causal *and* confined to the own document, and
positions restart at 0, so that a packed document gets exactly the logits that it would get alone (a test compares
them). A document that no longer fits into any row is set aside, and a batch is closed after ``PATIENCE`` of these;
padding carries no loss.
"""

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from pipestill.models.pretraining.corpus.document import END_OF_TEXT, Document
from pipestill.models.pretraining.corpus.mixture import document_weights, documents

IGNORE = -100
PATIENCE = 12
LONG_EVERY = 4  # steps
SHORTEST_STRING = 8  # tokens


@dataclass(frozen=True)
class Encoded:
    """Token ids of a document and the tokens to be learnt: equal to the ids, or ``IGNORE``."""

    ids: list[int]
    labels: list[int]


def encode(document: Document, tokenizer) -> Encoded:
    """Tokenise segment by segment; segments end where the tokenizer splits anyway."""
    ids: list[int] = []
    labels: list[int] = []
    for text, supervised in document.segments:
        part = tokenizer.encode(text, add_special_tokens=False).ids
        ids += part
        labels += part if supervised else [IGNORE] * len(part)
    return Encoded(ids, labels)


@dataclass(frozen=True)
class Batch:
    """Packed rows.

    ``ids``, ``labels``, ``positions`` and ``owners`` are ``[rows, length]``. ``labels`` holds at each place the *next*
    token of the same document if that is to be learnt, else ``IGNORE``; ``owners`` numbers a row's documents, -1 is
    padding.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    owners: Tensor

    def mask(self) -> Tensor:
        """Boolean attention mask ``[rows, 1, length, length]``: causal, within one document (padding sees padding)."""
        same = self.owners[:, :, None] == self.owners[:, None, :]
        return (same & torch.ones(same.shape[-2:], dtype=torch.bool).tril())[:, None]


def pack(encoded: list[list[Encoded]], length: int, pad: int) -> Batch:
    """Lay out the rows ``encoded`` (documents by row) as tensors."""
    shape = (len(encoded), length)
    ids, labels = torch.full(shape, pad), torch.full(shape, IGNORE)
    positions, owners = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
    for row, members in enumerate(encoded):
        start = 0
        for owner, document in enumerate(members):
            n = len(document.ids)
            place = slice(start, start + n)
            ids[row, place] = torch.tensor(document.ids)
            labels[row, start : start + n - 1] = torch.tensor(document.labels[1:])
            positions[row, place] = torch.arange(n)
            owners[row, place] = owner
            start += n
    return Batch(ids, labels, positions, owners)


def first_fit(encoded, rows: int, length: int) -> list[list[Encoded]]:
    """Put each of the endless documents into the first row with room, until ``PATIENCE`` on end found none."""
    members: list[list[Encoded]] = [[] for _ in range(rows)]
    room = [length] * rows
    failures = 0
    while failures < PATIENCE:
        document = next(encoded)
        row = next((row for row in range(rows) if room[row] >= len(document.ids)), None)
        if row is None:
            failures += 1
            continue
        failures = 0
        members[row].append(document)
        room[row] -= len(document.ids)
    return members


class CorpusBatches:
    """The corpus as batches of ``rows`` x ``length`` tokens; every fourth has rows of twice the length, half as many.

    Short rows train faster (attention costs less); the few documents longer than ``length`` go into the long ones.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``.
        seed: of the documents; another seed gives other documents.
        strings_from: from this step on, one row of each batch holds random strings said twice, without which the
            model keeps copying only what looks like its documents.
    """

    def __init__(self, tokenizer, seed: str, rows: int, length: int, strings_from: int = 0):
        self.tokenizer, self.seed, self.rows, self.length = tokenizer, seed, rows, length
        self.strings_from = strings_from
        self.ids = range(first_plain_id(tokenizer), tokenizer.get_vocab_size())
        self.pad = tokenizer.token_to_id(END_OF_TEXT)
        self.weights = document_weights(lambda document: len(encode(document, tokenizer).ids))

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        rng = Random(f"{self.seed} step {step}")
        stream = (encode(document, self.tokenizer) for document in documents(rng, self.weights))
        long = step % LONG_EVERY == LONG_EVERY - 1
        rows, length = (self.rows // 2, self.length * 2) if long else (self.rows, self.length)
        if step < self.strings_from:
            return pack(first_fit(stream, rows, length), length, self.pad)
        return pack([*first_fit(stream, rows - 1, length), self._strings(rng, length)], length, self.pad)

    def _strings(self, rng: Random, length: int) -> list[Encoded]:
        members, room = [], length
        while room >= 2 * SHORTEST_STRING:
            half = min(rng.randint(SHORTEST_STRING, length // 2), room // 2)
            members.append(said_twice(rng.choices(self.ids, k=half)))
            room -= 2 * half
        return members


def said_twice(string: list[int]) -> Encoded:
    """``string`` two times, the second time to be learnt."""
    return Encoded(string * 2, [IGNORE] * len(string) + string)


class RepeatedStrings:
    """Rows of a random string said twice; the second half is learnt. The curriculum that finishes the copy circuit."""

    def __init__(self, vocabulary: int, first_id: int, seed: str, rows: int, length: int):
        self.vocabulary, self.first_id, self.seed, self.rows, self.length = vocabulary, first_id, seed, rows, length

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        rng = Random(f"{self.seed} strings {step}")
        ids = range(self.first_id, self.vocabulary)
        strings = [rng.choices(ids, k=self.length // 2) for _ in range(self.rows)]
        return pack([[said_twice(string)] for string in strings], self.length, 0)


def first_plain_id(tokenizer) -> int:
    """The first token id after the special ones."""
    return 1 + max(token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special)


def documents_as_batches(held_out: list[Document], tokenizer, rows: int = 32) -> list[Batch]:
    """One document a row, at most ``rows`` rows a batch, shortest first."""
    encoded = sorted((encode(document, tokenizer) for document in held_out), key=lambda document: len(document.ids))
    pad = tokenizer.token_to_id(END_OF_TEXT)
    groups = [encoded[start : start + rows] for start in range(0, len(encoded), rows)]
    return [pack([[document] for document in group], len(group[-1].ids), pad) for group in groups]
