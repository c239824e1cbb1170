"""Encoded documents side by side in tensors; attention and positions keep them apart."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

IGNORE = -100  # label of a token that is not learnt


class Packable(Protocol):
    """A document as an architecture encodes it."""

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
        """Bytes of everything that the model reads and learns, for digests."""
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
