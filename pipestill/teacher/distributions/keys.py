"""What a stored row is found by: its content and the teacher that read it, never its place in a file or a step."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipestill.io.checksums import SHA256SUMS, read_sha256sums
from pipestill.io.digests import json_digest
from pipestill.models.hardware import HardwarePlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def row_key(input_ids: Sequence[int], labels: Sequence[int], teacher_fingerprint: str) -> str:
    """sha256 in hex of a row's tokens, of its labels (so of its mask), and of the teacher.

    Args:
        input_ids: [seq], without padding.
        labels: [seq]; ``IGNORED`` where nothing is learned.
        teacher_fingerprint: see :func:`teacher_fingerprint`.
    """
    content = hashlib.sha256(teacher_fingerprint.encode())
    for numbers in (input_ids, labels):
        content.update(len(numbers).to_bytes(8, "little"))
        content.update(np.asarray(numbers, "<i4").tobytes())
    return content.hexdigest()


def teacher_fingerprint(base: Path, model: Path | None, plan: HardwarePlan) -> str:
    """Digest of a teacher: the checksums of what it computes with, and the number format that it computes in.

    Records of its training do not count: another way to write them must not change keys, which choose the rows whose
    tails are measured.

    Args:
        base: directory of its base model.
        model: directory of the fine-tuned teacher; none for a base model that is taken as it is.
        plan: how it is loaded.
    """
    return json_digest(
        {
            "base": _checksums(base),
            "model": _checksums(model) if model else None,
            "precision": plan.precision,
            "quantization": plan.quantization,
        }
    )


def _checksums(directory: Path) -> list[str]:
    """Lines of a model's list of checksums about its weights and configurations, in one dress."""
    digests = read_sha256sums(Path(directory) / SHA256SUMS)
    return sorted(
        f"{digest}  {name}" for name, digest in digests.items() if name.endswith((".safetensors", "config.json"))
    )


def vocabulary_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Digest of which token each id stands for."""
    return json_digest(sorted((index, token) for token, index in tokenizer.get_vocab().items()))


def shard_of(key: str, shards: int) -> int:
    """Which of ``shards`` files holds a row: by its key, so that the others stay as they are when data grow."""
    return int(key[:16], 16) % shards
