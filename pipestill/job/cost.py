"""Cost of a job: wall and CPU seconds, peak memory, tokens; summed over all attempts."""

import json
import math
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pipestill.io.files import write_json
from pipestill.job.state import drop, read_state

KEYS = ("wall_s", "cpu_s", "peak_memory_mb", "gpu_memory_mb", "tokens")


def usage() -> dict[str, Any]:
    """What this process has used so far: CPU seconds, and the most main memory and memory of GPUs, in MB."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_memory_mb": peak_memory_mb(),
        "gpu_memory_mb": gpu_peak_mb(),
    }


class CostMeter:
    """Measures this process since its start, on top of earlier attempts in ``ledger``.

    As a context it keeps the cost of an attempt that fails, also where the disk is full.

    Args:
        ledger: file that carries the cost from one attempt to the next; beside the output, undeclared.

    Attributes:
        tokens: that the job has read.
        others: :func:`usage` of the job's other processes.
    """

    def __init__(self, ledger: Path):
        self.ledger = Path(ledger)
        self.earlier = _read(self.ledger)
        self.start = time.monotonic() - time.process_time()  # the imports before this line count too
        self.tokens = 0
        self.others: list[dict[str, Any]] = []

    def total(self) -> dict[str, Any]:
        """Cost so far: seconds, MB (10^6 bytes) and tokens; ``gpu_memory_mb`` is null where no GPU was used."""
        used = [usage(), *self.others]
        memory = sum(each["peak_memory_mb"] for each in used)
        gpus = [each["gpu_memory_mb"] for each in used if each["gpu_memory_mb"] is not None]
        gpu = sum(gpus) if gpus else None
        return {
            "wall_s": round(self.earlier.get("wall_s", 0) + time.monotonic() - self.start, 2),
            "cpu_s": round(self.earlier.get("cpu_s", 0) + sum(each["cpu_s"] for each in used), 2),
            "peak_memory_mb": max(self.earlier.get("peak_memory_mb", 0), round(memory, 1)),
            "gpu_memory_mb": max(gpu, self.earlier.get("gpu_memory_mb") or 0) if gpu is not None else None,
            "tokens": self.earlier.get("tokens", 0) + self.tokens,
        }

    def save(self) -> None:
        """Keep the cost so far for a later attempt."""
        write_json(self.ledger, self.total())

    def __enter__(self) -> Self:
        """Take room for the cost while there is some."""
        if not self.ledger.exists():
            self.save()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Keep the cost of what failed."""
        if kind is None:
            return
        with suppress(OSError):
            try:
                self.save()
            except OSError:
                with open(self.ledger, "r+", encoding="utf-8") as file:  # into the room that it has
                    file.write(json.dumps(self.total(), indent=2))
                    file.truncate()


def _read(ledger: Path) -> dict[str, Any]:
    """The cost of earlier attempts; of a damaged ledger nothing is known."""
    found = read_state(ledger) or {}
    if is_cost(found):
        return found
    drop(ledger)
    return {}


def is_cost(content: dict[str, Any]) -> bool:
    """True if all costs that ``content`` gives are numbers, or not known."""
    values = [content[key] for key in KEYS if content.get(key) is not None]
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def peak_memory_mb() -> float:
    """The most main memory that this process has held, in MB (10^6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def gpu_peak_mb() -> float | None:
    """The most memory of GPUs that this process's tensors have held, in MB; none where it used no GPU."""
    torch = sys.modules.get("torch")  # a job that did not import it used no GPU
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return round(sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count())) / 1e6, 1)
