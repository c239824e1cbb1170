"""Peak memory as benchmarks measure it, against memory of a known size."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from memory import RESET, peak_beyond

pytestmark = pytest.mark.skipif(not RESET.exists(), reason="the kernel does not report peaks")


@pytest.mark.parametrize("size", [40, 120])
def test_a_peak_is_what_a_call_held_at_once(size):
    def hold():
        for _ in range(3):  # one after the other, each given back
            np.ones(size * 1_000_000, dtype=np.uint8)

    assert peak_beyond(hold) == pytest.approx(size, abs=5)
