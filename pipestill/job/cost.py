"""Cost of a job: wall and CPU seconds, peak memory, tokens; summed over all attempts."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pipestill.io.files import write_json


class CostMeter:
    """Measures this process since its start, on top of earlier attempts in ``ledger``.

    Args:
        ledger: file that carries the cost from one attempt to the next; beside the output, undeclared.
    """

    def __init__(self, ledger: Path):
        self.ledger = Path(ledger)
        self.earlier: dict[str, Any] = json.loads(self.ledger.read_text()) if self.ledger.is_file() else {}
        self.start = time.monotonic() - time.process_time()  # the imports before this line count too
        self.tokens = 0

    def total(self) -> dict[str, Any]:
        """Cost so far: seconds, MB (10^6 bytes) and tokens; ``gpu_memory_mb`` is null where no GPU was used."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        gpu = gpu_peak_mb()
        return {
            "wall_s": round(self.earlier.get("wall_s", 0) + time.monotonic() - self.start, 2),
            "cpu_s": round(self.earlier.get("cpu_s", 0) + usage.ru_utime + usage.ru_stime, 2),
            "peak_memory_mb": max(self.earlier.get("peak_memory_mb", 0), peak_memory_mb()),
            "gpu_memory_mb": max(gpu, self.earlier.get("gpu_memory_mb") or 0) if gpu is not None else None,
            "tokens": self.earlier.get("tokens", 0) + self.tokens,
        }

    def save(self) -> None:
        """Keep the cost so far for a later attempt."""
        write_json(self.ledger, self.total())


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
