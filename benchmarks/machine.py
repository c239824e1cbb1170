"""The machine of a benchmark: its processor, and time and peak memory of calls (on a CPU on Linux only)."""

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Row = dict[str, float | str]
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def conclude(benchmark: str, ratios: dict[str, float], required: dict[str, float], **more: object) -> None:
    """End a benchmark of one thread with one line of JSON; with an error where it is slower than ``required``."""
    import torch

    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    print(json.dumps({"benchmark": benchmark, "ratios": ratios, **more, "machine": machine}))
    missed = {name: ratio for name, ratio in ratios.items() if ratio < required[name]}
    if missed:
        raise SystemExit(f"slower than promised: {missed}; promised {required}")


def peak_alone(script: str, *what: str) -> float:
    """MB (10^6 bytes) that ``script --measure-memory ...`` prints last, in a process of its own."""
    command = [sys.executable, script, "--measure-memory", *what]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def peak_beyond(call: Callable[[], object]) -> float:
    """MB (10^6 bytes) that ``call`` adds at its peak to what this process has in memory."""
    before = _status_mb("VmRSS")
    RESET.write_text("5")  # VmHWM starts anew
    call()
    return _status_mb("VmHWM") - before


def measured(call: Callable[[], object], device: str, rounds: int = 5, most_s: float = 20.0) -> Row:
    """Median milliseconds of a call after a first one and, on a GPU, the most memory that it needs.

    Args:
        call: what is measured.
        device: ``cuda`` or ``cpu``.
        rounds: timed calls; fewer where they take longer than ``most_s`` seconds.
        most_s: seconds after which no further call starts.

    Returns:
        ``ms``; ``peak_mb``, all that tensors take at once, and ``beyond_mb``, what the call adds to it (10^6 bytes); or
        ``not_measured`` with the reason.
    """
    import torch

    on_gpu, seconds, start = device == "cuda", [], time.perf_counter()
    try:
        call()
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        while not seconds or (len(seconds) < rounds and time.perf_counter() - start < most_s):
            begun = time.perf_counter()
            call()
            if on_gpu:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
    except (ImportError, RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError) as error:
        if on_gpu:
            torch.cuda.empty_cache()
        return not_measured(f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error) else ''}")
    row: Row = {"ms": round(1000 * statistics.median(seconds), 3)}
    if on_gpu:
        peak = torch.cuda.max_memory_allocated()
        row |= {"peak_mb": round(peak / 1e6), "beyond_mb": round((peak - before) / 1e6)}
    return row


def not_measured(reason: str) -> Row:
    """A row without a number."""
    return {"not_measured": reason}


def _status_mb(field: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
