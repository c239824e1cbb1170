"""Peak memory as benchmarks measure it, against memory of a known size."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel reports no peaks")

HOLD = """
import numpy as np
from memory import peak_beyond

def hold():
    for _ in range(3):  # one after the other, each given back
        np.ones({size} * 1_000_000, dtype=np.uint8)

print(peak_beyond(hold))
"""


@pytest.mark.parametrize("size", [40, 120])
def test_a_peak_is_what_a_call_held_at_once(size):
    # In a process of its own: one that has freed memory takes from that first, which is resident already.
    command = [sys.executable, "-c", HOLD.format(size=size)]
    process = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert float(process.stdout) == pytest.approx(size, abs=5)
