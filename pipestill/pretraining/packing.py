"""Batches of packed documents, each a pure function of (seed, step): a resumed run sees the same ones.

Several documents share a row. They never see each other: attention is confined to the own document, and positions
restart at 0, so that a packed document gets exactly the logits that it gets on its own (a test compares them). A
document that no longer fits into any row is set aside, and a batch is closed after ``PATIENCE`` of these; padding
carries no loss. The architecture says what is learnt from a document (``architecture.py``).
"""

from collections.abc import Iterator
from random import Random

from pipestill.pretraining.architecture import Architecture
from pipestill.pretraining.batch import Packable
from pipestill.pretraining.corpus.document import Document
from pipestill.pretraining.corpus.mixture import document_weights, documents

PATIENCE = 12
LONG_EVERY = 4  # steps
SHORTEST_STRING = 8  # tokens


def first_fit(encoded: Iterator[Packable], rows: int, lengths: tuple[int, ...]) -> list[list[Packable]]:
    """Put each of the endless documents into the first row with room, until ``PATIENCE`` in a row found none."""
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
        architecture: of the model, which decides what is learnt from a document.
        tokenizer: a ``tokenizers.Tokenizer``.
        seed: of the documents; another seed gives other documents.
        strings_from: from this step on, one row of each batch holds random strings to be copied, without which the
            model keeps copying only what looks like its documents.
    """

    def __init__(self, architecture: Architecture, tokenizer, seed: str, rows: int, length: int, strings_from: int = 0):
        self.architecture, self.tokenizer, self.seed = architecture, tokenizer, seed
        self.rows, self.length, self.strings_from = rows, length, strings_from
        self.ids = range(first_plain_id(tokenizer), tokenizer.get_vocab_size())
        self.weights = document_weights(
            lambda d: len(tokenizer.encode(d.text).ids), architecture.emphasis, architecture.families
        )

    def __call__(self, step: int):
        """The batch of one step."""
        rng = Random(f"{self.seed} step {step}")
        drawn = documents(rng, self.weights, self.architecture.families)
        stream = (self.architecture.encode(document, self.tokenizer, rng) for document in drawn)
        long = step % LONG_EVERY == LONG_EVERY - 1
        rows, length = (self.rows // 2, self.length * 2) if long else (self.rows, self.length)
        lengths = self.architecture.lengths(length)
        if step < self.strings_from:
            return self.architecture.pack(first_fit(stream, rows, lengths), lengths)
        return self.architecture.pack([*first_fit(stream, rows - 1, lengths), self._strings(rng, lengths)], lengths)

    def _strings(self, rng: Random, lengths: tuple[int, ...]) -> list[Packable]:
        members, room = [], lengths[-1]
        while (longest := self.architecture.longest_string(room)) >= SHORTEST_STRING:
            n = min(rng.randint(SHORTEST_STRING, lengths[0] // 2), longest)
            members.append(self.architecture.copied(rng.choices(self.ids, k=n), rng))
            room -= members[-1].sizes[-1]
        return members


class RepeatedStrings:
    """Rows of one random string of ``length`` / 2 to be copied. The curriculum that finishes the copy circuit."""

    def __init__(self, architecture: Architecture, ids: range, seed: str, rows: int, length: int):
        self.architecture, self.ids, self.seed, self.rows, self.length = architecture, ids, seed, rows, length

    def encoded(self, step: int) -> list[Packable]:
        """The strings of one step."""
        rng = Random(f"{self.seed} strings {step}")
        strings = [rng.choices(self.ids, k=self.length // 2) for _ in range(self.rows)]
        return [self.architecture.copied(string, rng) for string in strings]

    def __call__(self, step: int):
        """The batch of one step."""
        return one_per_row(self.architecture, self.encoded(step))


class Drills:
    """The curriculum of an architecture that has documents of its own: rows of strings to be copied, and as many of
    these documents."""

    def __init__(self, architecture: Architecture, tokenizer, seed: str, rows: int, length: int):
        self.architecture, self.tokenizer, self.seed, self.length = architecture, tokenizer, seed, length
        self.documents = rows // 2
        ids = range(first_plain_id(tokenizer), tokenizer.get_vocab_size())
        self.strings = RepeatedStrings(architecture, ids, seed, rows - self.documents, length)

    def __call__(self, step: int):
        """The batch of one step."""
        rng = Random(f"{self.seed} documents {step}")
        families = self.architecture.further
        drawn = documents(rng, [family.share for family in families], families)
        stream = (self.architecture.encode(document, self.tokenizer, rng) for document in drawn)
        lengths = self.architecture.lengths(self.length)
        rows = [[each] for each in self.strings.encoded(step)]
        return self.architecture.pack([*rows, *first_fit(stream, self.documents, lengths)], lengths)


def first_plain_id(tokenizer) -> int:
    """The first token id after the special ones."""
    return 1 + max(token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special)


def one_per_row(architecture: Architecture, encoded: list[Packable]):
    """A batch of one document a row, as long as the longest."""
    lengths = tuple(map(max, zip(*(document.sizes for document in encoded), strict=True)))
    return architecture.pack([[document] for document in encoded], lengths)


def documents_as_batches(architecture: Architecture, held_out: list[Document], tokenizer, seed: str, rows: int = 32):
    """One document a row, at most ``rows`` rows a batch, shortest first; ``seed`` decides which tokens are hidden."""
    rng = Random(seed)
    encoded = sorted((architecture.encode(document, tokenizer, rng) for document in held_out), key=lambda d: d.sizes)
    groups = [encoded[start : start + rows] for start in range(0, len(encoded), rows)]
    return [one_per_row(architecture, group) for group in groups]
