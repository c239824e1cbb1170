"""Batches of packed documents, each a pure function of (seed, step): a resumed run sees what an unbroken one would.

Several documents share a row. They never see each other: attention is confined to the own document, and positions
restart at 0, so that a packed document gets exactly the logits that it would get alone (a test compares them). A
document that no longer fits into any row is set aside, and a batch is closed after ``PATIENCE`` of these; padding
carries no loss. What is learnt from a document is the objective's to say (see ``objective.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from pipestill.pretraining.corpus.document import Document
from pipestill.pretraining.corpus.mixture import document_weights, documents

if TYPE_CHECKING:
    from pipestill.pretraining.objective import Objective

IGNORE = -100
PATIENCE = 12
LONG_EVERY = 4  # steps
SHORTEST_STRING = 8  # tokens


class Packable(Protocol):
    """A document as an objective encodes it."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Tokens that it takes in each of a row's parts: one, or encoder and decoder."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of a document and the tokens to be learnt: the right token at each place, or ``IGNORE``."""

    ids: list[int]
    labels: list[int]

    @property
    def sizes(self) -> tuple[int]:
        """Its length."""
        return (len(self.ids),)


@dataclass(frozen=True)
class Batch:
    """Packed rows.

    ``ids``, ``labels``, ``positions`` and ``owners`` are ``[rows, length]``. ``labels`` holds at each place the token
    that the model is to predict there, or ``IGNORE``; ``owners`` numbers a row's documents, -1 is padding.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    owners: Tensor

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int((self.owners >= 0).sum())

    def content(self) -> bytes:
        """What the model reads and learns, for digests."""
        return self.ids.numpy().tobytes() + self.labels.numpy().tobytes()

    def sees(self, other: "Batch") -> Tensor:
        """Boolean attention mask ``[rows, 1, length, length of other]``: a document sees its part of ``other``."""
        return (self.owners[:, :, None] == other.owners[:, None, :])[:, None]

    def mask(self) -> Tensor:
        """Boolean attention mask ``[rows, 1, length, length]``: causal, within one document (padding sees padding)."""
        same = self.sees(self)
        return same & torch.ones(same.shape[-2:], dtype=torch.bool).tril()


def pack(encoded: list[list[Encoded]], length: int, pad: int, ahead: int = 1) -> Batch:
    """Lay out the rows ``encoded`` (documents by row) as tensors.

    Args:
        ahead: how many places before its own each label is to be predicted: 1 for the next token, 0 in place.
    """
    shape = (len(encoded), length)
    ids, labels = torch.full(shape, pad), torch.full(shape, IGNORE)
    positions, owners = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
    for row, members in enumerate(encoded):
        start = 0
        for owner, document in enumerate(members):
            n = len(document.ids)
            place = slice(start, start + n)
            ids[row, place] = torch.tensor(document.ids)
            labels[row, start : start + n - ahead] = torch.tensor(document.labels[ahead:])
            positions[row, place] = torch.arange(n)
            owners[row, place] = owner
            start += n
    return Batch(ids, labels, positions, owners)


def first_fit(encoded: Iterator[Packable], rows: int, lengths: tuple[int, ...]) -> list[list[Packable]]:
    """Put each of the endless documents into the first row with room, until ``PATIENCE`` on end found none."""
    members: list[list[Packable]] = [[] for _ in range(rows)]
    room = [list(lengths) for _ in range(rows)]
    failures = 0
    while failures < PATIENCE:
        document = next(encoded)
        sizes = document.sizes
        row = next(
            (row for row in range(rows) if all(n <= left for n, left in zip(sizes, room[row], strict=True))), None
        )
        if row is None:
            failures += 1
            continue
        failures = 0
        members[row].append(document)
        room[row] = [left - size for left, size in zip(room[row], document.sizes, strict=True)]
    return members


class CorpusBatches:
    """The corpus as batches of ``rows`` x ``length`` tokens; every fourth has rows of twice the length, half as many.

    Short rows train faster (attention costs less); the few documents longer than ``length`` go into the long ones.

    Args:
        objective: what is learnt from a document.
        tokenizer: a ``tokenizers.Tokenizer``.
        seed: of the documents; another seed gives other documents.
        strings_from: from this step on, one row of each batch holds random strings to be copied, without which the
            model keeps copying only what looks like its documents.
    """

    def __init__(self, objective: "Objective", tokenizer, seed: str, rows: int, length: int, strings_from: int = 0):
        self.objective, self.tokenizer, self.seed, self.rows, self.length = objective, tokenizer, seed, rows, length
        self.strings_from = strings_from
        self.ids = range(first_plain_id(tokenizer), tokenizer.get_vocab_size())
        self.weights = document_weights(lambda d: len(tokenizer.encode(d.text).ids), objective.emphasis)

    def __call__(self, step: int):
        """The batch of one step."""
        rng = Random(f"{self.seed} step {step}")
        stream = (self.objective.encode(document, self.tokenizer, rng) for document in documents(rng, self.weights))
        long = step % LONG_EVERY == LONG_EVERY - 1
        rows, length = (self.rows // 2, self.length * 2) if long else (self.rows, self.length)
        lengths = self.objective.lengths(length)
        if step < self.strings_from:
            return self.objective.pack(first_fit(stream, rows, lengths), lengths)
        return self.objective.pack([*first_fit(stream, rows - 1, lengths), self._strings(rng, lengths)], lengths)

    def _strings(self, rng: Random, lengths: tuple[int, ...]) -> list[Packable]:
        members, room = [], lengths[-1]
        while (longest := self.objective.longest_string(room)) >= SHORTEST_STRING:
            n = min(rng.randint(SHORTEST_STRING, lengths[0] // 2), longest)
            members.append(self.objective.copied(rng.choices(self.ids, k=n), rng))
            room -= members[-1].sizes[-1]
        return members


class RepeatedStrings:
    """Rows of one random string of ``length`` / 2 to be copied. The curriculum that finishes the copy circuit."""

    def __init__(self, objective: "Objective", ids: range, seed: str, rows: int, length: int):
        self.objective, self.ids, self.seed, self.rows, self.length = objective, ids, seed, rows, length

    def __call__(self, step: int):
        """The batch of one step."""
        rng = Random(f"{self.seed} strings {step}")
        strings = [rng.choices(self.ids, k=self.length // 2) for _ in range(self.rows)]
        return batch_alone(self.objective, [self.objective.copied(string, rng) for string in strings])


def first_plain_id(tokenizer) -> int:
    """The first token id after the special ones."""
    return 1 + max(token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special)


def batch_alone(objective: "Objective", encoded: list[Packable]):
    """A batch of one document a row, as long as the longest."""
    lengths = tuple(map(max, zip(*(document.sizes for document in encoded), strict=True)))
    return objective.pack([[document] for document in encoded], lengths)


def documents_as_batches(objective: "Objective", held_out: list[Document], tokenizer, seed: str, rows: int = 32):
    """One document a row, at most ``rows`` rows a batch, shortest first; ``seed`` decides what of them is hidden."""
    rng = Random(seed)
    encoded = sorted((objective.encode(document, tokenizer, rng) for document in held_out), key=lambda d: d.sizes)
    groups = [encoded[start : start + rows] for start in range(0, len(encoded), rows)]
    return [batch_alone(objective, group) for group in groups]
