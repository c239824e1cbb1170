"""The memory log of a training job: what it held at each step. It differs from run to run, so no model includes it."""

import sys
from pathlib import Path
from typing import Any

import psutil

from pipestill.job.cost import gpu_peak_mb, peak_memory_mb
from pipestill.job.row_log import RowLog

LOG = "memory.jsonl"  # in the training state: rows of all attempts


def memory() -> dict[str, float]:
    """Memory of this process, in MB (10^6 bytes).

    Returns:
        ``memory_mb`` and ``peak_memory_mb``, resident now and at most so far; on CUDA ``gpu_allocated_mb`` and
        ``gpu_reserved_mb``, in tensors and taken from the GPU now, and ``gpu_memory_mb``, in tensors at most so far.
    """
    now = round(psutil.Process().memory_info().rss / 1e6, 1)
    held = {"memory_mb": now, "peak_memory_mb": max(now, peak_memory_mb())}  # Linux counts the two apart, a bit late
    peak = gpu_peak_mb()
    if peak is None:
        return held
    cuda = sys.modules["torch"].cuda
    devices = range(cuda.device_count())
    return held | {
        "gpu_allocated_mb": round(sum(map(cuda.memory_allocated, devices)) / 1e6, 1),
        "gpu_reserved_mb": round(sum(map(cuda.memory_reserved, devices)) / 1e6, 1),
        "gpu_memory_mb": peak,
    }


class MemoryLog:
    """Rows ``{"step", ...}`` with :func:`memory`; a step that is done again, after a kill, replaces its row.

    Args:
        state: directory of the training state.
    """

    def __init__(self, state: Path):
        self._log = RowLog(Path(state) / LOG, fields=["step"])

    def measure(self, step: int) -> None:
        """Add the row of ``step``."""
        self._log.append([(str(step), {"step": step, **memory()})])

    def rows(self) -> list[dict[str, Any]]:
        """All rows, by step."""
        rows = sorted(self._log.rows.values(), key=lambda row: row["step"])
        return [{name: value for name, value in row.items() if name != "key"} for row in rows]
