"""Bootstrap of three classifiers' metrics: by drawing every example, by SciPy, and by groups, for many test rows.

    python benchmarks/resampling.py [--quick]

CPU seconds of one thread for 10,000 resamples, all in one process; ways that draw every example are timed on fewer, and
multiplied. Memory is the peak beyond the data, in a process of its own. SciPy has the accuracy of one
run only, as its statistic is a function of drawn arrays. The last column is the standard error of that accuracy, on
which all ways must agree.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from machine import peak_beyond, processor
from scipy.stats import bootstrap as scipy_bootstrap

from pipestill.answers.labels.classification import metrics
from pipestill.evaluation.metric import Metric
from pipestill.evaluation.statistics import example_weights, replicates
from pipestill.settings.evaluation import StatisticsConfig

RESAMPLES = 10_000
TIMED = {"every example": 200, "SciPy": 400}  # resamples of the slow ways
FEW = 1000  # resamples, of which the peak is that of any number
LABELS = 3

Runs = list[dict[str, Metric]]


def make_runs(rows: int) -> Runs:
    """All metrics of three classifiers of the same rows."""
    rng = np.random.default_rng(rows)
    gold = rng.integers(0, LABELS, rows)
    made = []
    for _ in range(3):
        scores = rng.normal(size=(rows, LABELS)) + 1.2 * np.eye(LABELS)[gold]
        made.append(metrics(gold, scores.argmax(axis=1), scores))
    return made


def every_example(runs: Runs, resamples: int) -> dict[str, np.ndarray]:
    """Means of resamples in which each example is drawn by itself."""
    names = list(runs[0])
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for weights in example_weights(len(runs[0]["accuracy"].statistics), settings(resamples)):
        for name in names:
            found[name].append(np.mean([run[name].value(weights @ run[name].statistics) for run in runs], axis=0))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def scipy_way(runs: Runs, resamples: int) -> dict[str, np.ndarray]:
    """SciPy's bootstrap of the accuracy of one run, a batch at a time."""
    values = runs[0]["accuracy"].statistics[:, 0]
    result = scipy_bootstrap((values,), np.mean, n_resamples=resamples, batch=20, method="percentile", rng=0)
    return {"accuracy": result.bootstrap_distribution}


def settings(resamples: int) -> StatisticsConfig:
    """Of a bootstrap, which may be shorter than a configuration's."""
    return StatisticsConfig.model_construct(resamples=resamples, seed=0)


WAYS: dict[str, Callable[[Runs, int], dict[str, np.ndarray]]] = {
    "every example": every_example,
    "SciPy": scipy_way,
    "ours": lambda runs, resamples: replicates(runs, settings(resamples)),
}


def peak(way: str, rows: int) -> int:
    """MB that a few chunks of resamples of one way add at their peak, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", way, str(rows)]
    return round(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(way: str, runs: Runs, shrink: int) -> dict[str, float]:
    """CPU seconds for all resamples, peak memory, and the standard error of the first accuracy."""
    resamples = TIMED.get(way, RESAMPLES) // shrink
    start = time.process_time()
    WAYS[way](runs, resamples)
    seconds = (time.process_time() - start) * RESAMPLES / resamples
    samples = WAYS[way]([{"accuracy": runs[0]["accuracy"]}], resamples)["accuracy"]
    memory = peak(way, len(runs[0]["accuracy"].statistics))
    return {"seconds": round(seconds, 2), "peak_mb": memory, "error": float(samples.std(ddof=1))}


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and resamples")
    parser.add_argument("--memory-of", nargs=2, metavar=("WAY", "ROWS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        way, runs = args.memory_of[0], make_runs(int(args.memory_of[1]))
        print(peak_beyond(lambda: WAYS[way](runs, FEW)))
        return
    shrink = 10 if args.quick else 1
    ratios, memory = {}, {}
    print(f"{'rows':>8} {'way':<14}{'CPU s':>9}{'way/ours':>10}{'peak MB':>9}{'error':>12}")
    for rows in (10_000 // shrink, 20_000 // shrink, 200_000 // shrink):
        runs = make_runs(rows)
        measured = {way: measure(way, runs, shrink) for way in reversed(WAYS)}
        for way, each in measured.items():
            ratio = each["seconds"] / measured["ours"]["seconds"]
            line = f"{rows:>8} {way:<14}{each['seconds']:>9.1f}{ratio:>9.1f}x{each['peak_mb']:>9.0f}"
            print(f"{line}{each['error']:>12.6f}", flush=True)
            ratios[f"{way}_{rows}"], memory[f"{way}_{rows}"] = round(ratio, 2), each["peak_mb"]
    machine = {"processor": processor(), "threads": 1, "numpy": np.__version__}
    print(json.dumps({"benchmark": "resampling", "ratios": ratios, "memory_mb": memory, "machine": machine}))


if __name__ == "__main__":
    main()
