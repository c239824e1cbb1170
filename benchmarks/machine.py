"""The machine of a benchmark: its processor, and the peak memory of a call (Linux only)."""

import platform
from collections.abc import Callable
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def peak_beyond(call: Callable[[], object]) -> float:
    """MB (10^6 bytes) that ``call`` adds at its peak to what this process has in memory."""
    before = _status_mb("VmRSS")
    RESET.write_text("5")  # VmHWM starts anew
    call()
    return _status_mb("VmHWM") - before


def _status_mb(field: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
