"""Peak memory as benchmarks measure it, against memory of a known size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel reports no peaks")

HOLD = """
import numpy as np
from machine import peak_beyond

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


def test_an_evaluation_of_more_rows_has_the_same_peak():
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}  # as the benchmark has it
    peaks = []
    for rows in (32, 64):
        command = [sys.executable, "evaluation_memory.py", "--point", "ours", str(rows)]
        process = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True, env=environment)
        peaks.append(json.loads(process.stdout.splitlines()[-1])["peak_mb"])
    assert peaks[1] == pytest.approx(peaks[0], abs=20)  # the logits of 32 answers and rationales are 524 MB
