"""Where a trainer has the teacher's side of a divergence from: a model beside the student, or what is stored of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from pipestill.errors import UserError
from pipestill.losses import CHUNK, IGNORED
from pipestill.losses.targets import DenseTarget, HiddenTarget, LogitsTarget, Target
from pipestill.losses.universal_logit import UniversalTarget, pair_positions
from pipestill.models.division import Within, undivided
from pipestill.models.heads import answer_logits, hidden_states, linear_head
from pipestill.models.rows import Row, RowEncoder, collate, read_answers
from pipestill.models.vocabulary import vocabulary_size
from pipestill.teacher.distributions.store import DistributionStore
from pipestill.training.resumable import Batch

OWN = "teacher_"  # begins the names of a foreign teacher's tensors in a batch


class Teacher(Protocol):
    """Tells the distributions of the supervised tokens of a batch, row by row."""

    vocabulary: int
    """How many ids the student's tokenizer has."""
    over: Sequence[int] | None
    """Those that it compares; none: all."""

    def prepare(self, rows: list[Row], path: Path) -> list[Row]:
        """The rows that were read from ``path``, with what :meth:`columns` will need.

        Raises:
            UserError: the teacher has nothing to say about one of them.
        """

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """What a batch of ``rows`` holds beside the student's tensors."""

    def target(self, batch: Batch) -> Target:
        """The supervised tokens of ``batch``."""

    def yardstick(self, batch: Batch, target: Target) -> Target:
        """The same tokens as KL is measured for every kind alike, whatever a kind learns from."""

    def top_ids(self, batch: Batch, target: Target) -> torch.Tensor | None:
        """The likeliest token at each of them, [supervised], ``IGNORED`` where it says nothing; none where the teacher
        has other tokens."""


class OnlineTeacher:
    """A model that runs beside the student, without gradients and without dropout.

    Args:
        model: a language model.
        vocabulary: how many ids the tokenizer has.
        within: calls what needs whole weights, see :class:`~pipestill.models.division.Divided`.
    """

    over = None

    def __init__(self, model: Any, vocabulary: int, within: Within = undivided):
        self.model = model.eval().requires_grad_(False)
        self.vocabulary, self.within = vocabulary, within
        self.head = within(lambda: linear_head(model))

    def prepare(self, rows: list[Row], path: Path) -> list[Row]:
        """The rows as they are."""
        return rows

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """Nothing."""
        return {}

    @torch.no_grad()
    def target(self, batch: Batch) -> DenseTarget:
        """Hidden states and head; logits, where the head does more than a linear map."""
        if self.head is None:
            return LogitsTarget(self.within(lambda: answer_logits(self.model, batch)))
        hidden = self.within(lambda: hidden_states(self.model, batch))
        return HiddenTarget(hidden, self.head.weight, self.head.bias)

    def yardstick(self, batch: Batch, target: DenseTarget) -> DenseTarget:
        """What is learned from: the whole distribution."""
        return target

    def top_ids(self, batch: Batch, target: DenseTarget) -> torch.Tensor:
        """From the logits, chunk by chunk."""
        parts = (slice(start, min(start + CHUNK, len(target))) for start in range(0, len(target), CHUNK))
        return torch.cat([target.logits(rows, self.vocabulary).argmax(-1) for rows in parts])


class CachedTeacher:
    """Distributions that were captured before, found by the content of each row.

    Args:
        store: of the study.
        tail: what is made of tokens that a store of the likeliest ones has not.
    """

    def __init__(self, store: DistributionStore, tail: Literal["bucket", "unigram"]):
        self.store, self.tail = store, tail
        self.vocabulary, self.over = store.vocab_size, store.codec.over

    def prepare(self, rows: list[Row], path: Path) -> list[Row]:
        """Rows with their keys; one that is not stored is found here, not in the middle of the run."""
        keyed = [row | {"key": self.store.key(row)} for row in rows]
        for row in keyed:
            self.store.read([row["key"]])
        return keyed

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """Keys of the rows."""
        return {"keys": [row["key"] for row in rows]}

    def target(self, batch: Batch) -> Target:
        """What is stored."""
        return self.store.target(batch["keys"], self.tail, batch["labels"].device)

    def yardstick(self, batch: Batch, target: Target) -> Target:
        """What is stored, without a guess about the tail."""
        return target if self.tail == "bucket" else self.store.target(batch["keys"], "bucket", batch["labels"].device)

    def top_ids(self, batch: Batch, target: Target) -> torch.Tensor:
        """Stored too."""
        return self.store.top_ids(batch["keys"]).to(batch["labels"].device)


class ForeignTeacher:
    """A model with other tokens, which reads the same text beside the student.

    Args:
        model: a causal language model or an encoder-decoder.
        encoder: of the same texts, for the teacher.
        vocabulary: how many ids the student's tokenizer has.
        within: calls what needs whole weights, see :class:`~pipestill.models.division.Divided`.

    Raises:
        UserError: the teacher's logits are more than a linear map of its hidden states.
    """

    over = None

    def __init__(self, model: Any, encoder: RowEncoder, vocabulary: int, within: Within = undivided):
        self.model = model.eval().requires_grad_(False)
        self.encoder, self.vocabulary, self.within = encoder, vocabulary, within
        self.own_vocabulary = vocabulary_size(encoder.tokenizer)
        self.head = within(lambda: linear_head(model))
        if self.head is None:
            raise UserError(
                "the teacher's logits are more than a linear map of its last hidden states (capped or scaled), which "
                "`uld` does not provide for: use another teacher, or `kd`"
            )

    def prepare(self, rows: list[Row], path: Path) -> list[Row]:
        """Rows with the teacher's tokens of the same texts."""
        theirs = read_answers(path, self.encoder)
        return [row | {"teacher": other} for row, other in zip(rows, theirs, strict=True)]

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """The teacher's tensors, and which of its supervised tokens each of the student's is compared with."""
        theirs = [row["teacher"] for row in rows]
        batch = collate(theirs, self.encoder.tokenizer.pad_token_id)
        pairs = pair_positions(*([_supervised(row) for row in each] for each in (rows, theirs)))
        return {f"{OWN}{name}": tensor for name, tensor in batch.items()} | {"pairs": pairs}

    @torch.no_grad()
    def target(self, batch: Batch) -> UniversalTarget:
        """Hidden states of the teacher's own tokens."""
        own = {name.removeprefix(OWN): batch[name] for name in batch if name.startswith(OWN)}
        hidden = self.within(lambda: hidden_states(self.model, own))
        return UniversalTarget(hidden, self.head.weight, batch["pairs"], self.head.bias, self.own_vocabulary)

    def yardstick(self, batch: Batch, target: Target) -> Target:
        """What is learned from; no KL is measured."""
        return target

    def top_ids(self, batch: Batch, target: Target) -> None:
        """Its tokens are not the student's."""


def _supervised(row: Row) -> int:
    return sum(label != IGNORED for label in row["labels"][1:])
