"""Peak memory of a call, for benchmarks; Linux only."""

from collections.abc import Callable
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_beyond(call: Callable[[], object]) -> float:
    """MB (10^6 bytes) that ``call`` adds at its peak to what this process has in memory."""
    before = _status_mb("VmRSS")
    RESET.write_text("5")  # VmHWM starts anew
    call()
    return _status_mb("VmHWM") - before


def _status_mb(field: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
