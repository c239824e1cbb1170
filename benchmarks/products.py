"""Linear layers of the shipped models' widths by torch's own product and by oneDNN's, for more and more rows.

Minima of interleaved repetitions on one thread. Training is forward and backward, decoding forward only. From
100 rows on, jobs take oneDNN where it is the faster library: on AMD's processors with AVX-512, where MKL does
without the wide vectors. On Intel's, ``MKL_ENABLE_INSTRUCTIONS=AVX2`` holds MKL to what it does there.

    python benchmarks/products.py [--repetitions 100]
"""

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from machine import processor

from pipestill.losses import products

SHAPES = ((128, 128), (128, 384), (384, 128), (192, 192), (192, 512), (768, 768))  # inputs and outputs of a layer
ROWS = (1, 4, 16, 32, 64, 96, 128, 192, 256, 512, 1024)


def fastest(steps: list[Callable[[], object]], repetitions: int) -> list[float]:
    """Least seconds of each step, taken in turn."""
    seconds = [float("inf")] * len(steps)
    for _ in range(repetitions):
        for number, step in enumerate(steps):
            start = time.perf_counter()
            step()
            seconds[number] = min(seconds[number], time.perf_counter() - start)
    return seconds


def ratio(rows: int, shape: tuple[int, int], training: bool, repetitions: int) -> float:
    """Time of torch's layer over that of ours."""
    layers = [torch.nn.Linear(*shape, bias=False), products.FasterLinear(*shape, bias=False)]
    inputs = torch.randn(rows, shape[0], requires_grad=training)
    gradient = torch.randn(rows, shape[1])

    def step(layer: torch.nn.Linear) -> None:
        outputs = layer(inputs)
        if training:
            outputs.backward(gradient)

    with torch.set_grad_enabled(training):
        own, ours = fastest([lambda: step(layers[0]), lambda: step(layers[1])], repetitions)
    return round(own / ours, 2)


def main() -> None:
    """Measure, print two tables, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100, help="of each product (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    products.ROWS = 0  # all of them
    ratios = {}
    for training in (False, True):
        name = "forward and backward" if training else "forward"
        print(f"\n{name}: time of torch's product over oneDNN's\n{'rows':>6}", *(f"{f'{a}x{b}':>9}" for a, b in SHAPES))
        for rows in ROWS:
            ratios[f"{name} {rows}"] = row = [ratio(rows, shape, training, args.repetitions) for shape in SHAPES]
            print(f"{rows:>6}", *(f"{value:>9}" for value in row), flush=True)
    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    machine["mkl"] = os.environ.get("MKL_ENABLE_INSTRUCTIONS", "")
    print(json.dumps({"benchmark": "products", "ratios": ratios, "memory_mb": {}, "machine": machine}))


if __name__ == "__main__":
    main()
