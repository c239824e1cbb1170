"""What a model takes: bytes, weights, time and memory."""

from pathlib import Path
from typing import Any


def footprint(directory: Path, *, threads: int = 1) -> dict[str, Any]:
    """Size and speed of a model directory, full weights, quantised or not, on this machine's CPU.

    Speed and memory are measured in a process of their own.

    Returns:
        For ``profile.json``: ``bytes_on_disk`` (weights and config), ``parameters``, ``nonzero_weights``,
        ``bits_a_weight`` (of the weights file), ``quantised_layers``, ``fast_layers``, ``prefill_tokens_a_second``
        (4 x 128 tokens), ``decode_tokens_a_second`` (one row; of masked models and classifiers, none),
        ``peak_memory_bytes``, ``threads``, ``processor``.
    """
    raise NotImplementedError
