"""Stored distributions, found by the content of a row, so that no order, batch or subset of rows can mispair them."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.losses.targets import Target
from pipestill.models.kinds import Reading
from pipestill.models.rows import RowEncoder
from pipestill.settings.prompts import Form
from pipestill.teacher.distributions.codecs import make_codec
from pipestill.teacher.distributions.keys import row_key, shard_of, vocabulary_digest
from pipestill.teacher.distributions.manifest import FORMAT, check_file
from pipestill.teacher.distributions.shard import Row, Shard, join
from pipestill.teacher.distributions.tails import NAME, mean_tail

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class DistributionStore:
    """All shards of a manifest, each checked against its digest once, when the store is opened.

    Attributes:
        path: of the manifest.
        vocab_size: ids of the tokenizer; what heads have beyond them is cut.
        temperature: that the distributions were captured at.
        max_length: tokens of a row at most.
        form: of its prompts.
        teacher_fingerprint: of the teacher that they are of.
        codec: how they are stored.

    Args:
        path: ``manifest.json``.

    Raises:
        UserError: a file is missing, damaged, or of another version.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.manifest: dict[str, Any] = read_json(path)
        if not isinstance(self.manifest, dict) or self.manifest.get("format") != FORMAT:
            raise UserError(f"{path} is no manifest that this version reads: capture the distributions again")
        self.vocab_size: int = self.manifest["vocabulary"]["size"]
        self.temperature: float = self.manifest["temperature"]
        self.max_length: int = self.manifest["max_length"]
        self.form = Form.model_validate(self.manifest["form"])
        self.teacher_fingerprint: str = self.manifest["teacher"]["fingerprint"]
        self.codec = make_codec(self.manifest["codec"], self.vocab_size)
        self._shards = []
        for entry in self.manifest["shards"]:
            file = self.path.parent / entry["file"]
            check_file(file, entry["sha256"], self.path)
            self._shards.append(Shard(file, self.codec.layout))

    def check(
        self,
        *,
        tokenizer: "PreTrainedTokenizerBase | None" = None,
        temperature: float | None = None,
        teacher_fingerprint: str | None = None,
    ) -> None:
        """Refuse to serve a tokenizer, a temperature or a teacher other than that of the capture; none: not asked.

        Raises:
            UserError: with the way out.
        """
        if tokenizer is not None and vocabulary_digest(tokenizer) != self.manifest["vocabulary"]["sha256"]:
            raise UserError(
                f"the distributions of {self.path} were captured with another tokenizer than the student's: capture "
                "them again"
            )
        if temperature is not None and temperature != self.temperature:
            raise UserError(
                f"the distributions of {self.path} were captured at temperature {self.temperature:g}, not "
                f"{temperature:g}: capture them again, or set `divergence.temperature: {self.temperature:g}`"
            )
        if teacher_fingerprint is not None and teacher_fingerprint != self.teacher_fingerprint:
            raise UserError(f"the distributions of {self.path} are those of another teacher: capture them again")

    def encoder(self, tokenizer: "PreTrainedTokenizerBase", reads: Reading) -> RowEncoder:
        """Encodes rows for a model that ``reads`` like the student that they were stored for."""
        return RowEncoder(tokenizer, self.max_length, reads, self.form)

    def key(self, row: Row) -> str:
        """Key of a row of :func:`~pipestill.models.rows.read_answers`."""
        return row_key(row["input_ids"], row["labels"], self.teacher_fingerprint)

    def keys(self) -> list[str]:
        """Keys of all rows, sorted."""
        return sorted(chain.from_iterable(shard.keys() for shard in self._shards))

    def target(
        self, keys: Sequence[str], tail: Literal["bucket", "unigram"] = "bucket", device: str | torch.device = "cpu"
    ) -> Target:
        """What the teacher says about the supervised tokens of rows, one row after another.

        Args:
            keys: of the rows, see :meth:`key`.
            tail: what ``topk`` makes of tokens that it did not store: one outcome for all of them, or their mass spread
                as the teacher's tails are on average; without effect on other codecs.
            device: of the student's logits.

        Raises:
            UserError: a row is not stored.
        """
        prior, rows = self.prior if tail == "unigram" else None, [self._row(key) for key in keys]
        stored = join(rows, self.codec.layout)
        return self.codec.target(stored, _tokens(rows), self.temperature, prior, device)

    def gold_log_probs(self, keys: Sequence[str]) -> Tensor:
        """Exact log-probabilities of the tokens of the answers at temperature 1, [tokens] of float32."""
        return torch.from_numpy(self.read(keys, ["gold"])["gold"])

    def top_ids(self, keys: Sequence[str]) -> Tensor:
        """What the teacher finds likeliest at each token, [tokens] of int64, or ``IGNORED`` where nothing is stored."""
        rows = [self._row(key) for key in keys]
        return torch.from_numpy(self.codec.top_ids(join(rows, self.codec.layout), _tokens(rows)))

    def read(self, keys: Sequence[str], names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Arrays of rows, joined, as the codec wrote them; all of them, or those of ``names``.

        Raises:
            UserError: a row is not stored.
        """
        return join([self._row(key) for key in keys], names)

    def _row(self, key: str) -> Row:
        shard = self._shards[shard_of(key, len(self._shards))]
        index = shard.find(key)
        if index is None:
            raise UserError(
                f"{self.path} holds no distributions of a row that is asked for (key {key[:12]}): its text, the "
                "tokenizer, the chat template, the length limit or the teacher changed; capture the distributions again"
            )
        return shard.row(index)

    @cached_property
    def prior(self) -> Tensor | None:
        """Shape of the teacher's tails on average: log-probabilities [vocab]; none for codecs that have no tail."""
        if NAME not in self._shards[0].arrays:
            return None
        return torch.from_numpy(mean_tail(shard.arrays[NAME] for shard in self._shards))


def _tokens(rows: Sequence[Row]) -> list[int]:
    """Supervised tokens of each row."""
    return [len(row["gold"]) for row in rows]
