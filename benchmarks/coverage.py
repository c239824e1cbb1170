"""How often 95 % intervals hold the truth, and how often a test at 5 % tells equal methods apart, by simulation.

    python benchmarks/coverage.py [--repetitions 500] [--examples 1 2 3 ...] [--seeds 1 2 3 5]

Examples differ in how hard they are, and trainings in their skill, which moves accuracy by .01 and the score by 1 point
(standard deviation; a single run has no such part, since nothing in it could show that). Each repetition draws test
examples and, for each of two equal methods, its runs; the truth is the mean over trainings of the metric of endless
examples. Repetition r of n examples and s seeds draws from the seeds (n, s, r), so that every cell can be had alone.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from machine import processor

from pipestill.answers.labels.classification import macro_f1_metric
from pipestill.evaluation.measured import ENOUGH, Measured, difference, measure
from pipestill.evaluation.metric import Metric
from pipestill.metrics.catalogue import CATALOGUE
from pipestill.settings.evaluation import StatisticsConfig

EXAMPLES = (1, 2, 3, 5, 10, 30, 100, 1000)
SEEDS = (1, 2, 3, 5)
LABELS = 3
TRAINING = 0.06  # standard deviation of the skill over trainings
WORDS = 12  # of an answer, about
CONFIDENCE = 0.5  # standard deviation of what a run's log-odds of one example are above its skill

Runs = list[dict[str, Metric]]
Cells = Mapping[int, Mapping[int, Mapping[str, tuple[float, float | None]]]]


def right(skill: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """True with the logistic of a skill."""
    return rng.random(skill.shape) < 1 / (1 + np.exp(-skill))


def accuracy(skill: np.ndarray, gold: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> Metric:
    """Share of right answers."""
    return Metric.mean_of(right(skill, rng))


def score(skill: np.ndarray, gold: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> Metric:
    """Mean of a score from 0 to 100 with many zeros, as ROUGE of short answers has."""
    matched = rng.binomial(length, 1 / (1 + np.exp(2 - skill)))
    return Metric.mean_of(100 * matched / length, highest=100.0)


def f1(skill: np.ndarray, gold: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> Metric:
    """Macro F1 of three labels, the last one rare."""
    predicted = np.where(right(skill, rng), gold, rng.integers(0, LABELS, len(gold)))
    return macro_f1_metric(gold, predicted, LABELS)


def bleu(skill: np.ndarray, gold: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> Metric:
    """BLEU of all answers together: n-grams that match are binomial, those of each order among those of the last."""
    total = np.stack([length - order for order in range(4)], axis=1)
    matches, last = [], length
    for order in range(4):
        last = rng.binomial(np.minimum(last, total[:, order]), 1 / (1 + np.exp(-skill)))
        matches.append(last)
    counts = np.column_stack([length, length, *matches, total]).astype(float)
    value, n = CATALOGUE["bleu"].corpus, len(counts)
    return Metric(counts, lambda means: value(means * n), 100.0)


def nll(skill: np.ndarray, gold: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> Metric:
    """Mean negative log-probability of the gold label, of a run that is surer of some examples than its skill is."""
    return Metric.mean_of(np.log1p(np.exp(-skill - CONFIDENCE * rng.normal(size=len(skill)))), highest=np.inf)


METRICS: Mapping[str, Callable[..., Metric]] = {
    "accuracy": accuracy,
    "score": score,
    "macro F1": f1,
    "BLEU": bleu,
    "NLL": nll,
}


def draw_examples(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """How easy each example is, its label and the words of its answer."""
    return 0.9 + 1.5 * rng.normal(size=n), rng.choice(LABELS, n, p=(0.5, 0.4, 0.1)), 4 + rng.poisson(WORDS - 4, n)


def draw_runs(examples: tuple[np.ndarray, ...], seeds: int, rng: np.random.Generator) -> Runs:
    """The runs of one method."""
    easy, *rest = examples
    skills = [easy + TRAINING * rng.normal() * (seeds > 1) for _ in range(seeds)]
    return [{name: metric(skill, *rest, rng) for name, metric in METRICS.items()} for skill in skills]


def truths(rng: np.random.Generator) -> dict[str, float]:
    """What a method's metrics are over endless examples and trainings."""
    runs = draw_runs(draw_examples(20_000, rng), 200, rng)
    return {name: float(np.mean([run[name].estimate() for run in runs])) for name in METRICS}


def holds(measured: Measured, truth: float) -> bool:
    """True if the interval holds the truth; where there is none, nothing is said that could be wrong."""
    found = measured.interval
    return found is None or found[0] <= truth <= found[1]


def simulate(n: int, seeds: int, repetitions: int, truth: Mapping[str, float]) -> dict[str, tuple[float, float | None]]:
    """Coverage of the interval and size of the test of each metric; no size where there is no test."""
    held, told = dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0)
    tested = True
    for repetition in range(repetitions):
        rng = np.random.default_rng([n, seeds, repetition])
        examples, bootstrap = (
            draw_examples(n, rng),
            StatisticsConfig(resamples=1000 if n >= ENOUGH else 100, seed=repetition),
        )
        a, b = (measure(draw_runs(examples, seeds, rng), bootstrap, stream) for stream in (0, 1))
        for name in METRICS:
            held[name] += holds(a[name], truth[name])
            p = difference(a[name], b[name]).p
            tested = p is not None
            told[name] += tested and p < 0.05
    return {name: (held[name] / repetitions, told[name] / repetitions if tested else None) for name in METRICS}


def print_table(title: str, cells: Cells, part: int) -> None:
    """A table in Markdown: a row for each number of examples, a cell a metric with a value for each number of seeds."""
    print(f"\n| {title} | " + " | ".join(METRICS) + " |\n|---|" + "---|" * len(METRICS))
    for n, of_seeds in cells.items():
        found = {name: [each[name][part] for each in of_seeds.values()] for name in METRICS}
        texts = (" / ".join("–" if x is None else f"{100 * x:.1f}" for x in values) for values in found.values())
        print(f"| {n:,} | " + " | ".join(texts) + " |")


def main() -> None:
    """Simulate, print a table of coverage and one of sizes, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500, help="of each cell (default: %(default)s)")
    parser.add_argument("--examples", type=int, nargs="+", default=EXAMPLES, help="default: 1 to 1,000")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: 1, 2, 3 and 5")
    args = parser.parse_args()
    start, truth = time.process_time(), truths(np.random.default_rng(0))
    print("truth:", {name: round(value, 3) for name, value in truth.items()}, flush=True)
    cells = {n: {s: simulate(n, s, args.repetitions, truth) for s in args.seeds} for n in args.examples}
    for part, title in enumerate(("coverage, %", "size, %")):
        print_table(title, cells, part)
    seconds = round(time.process_time() - start)
    machine = {"processor": processor(), "threads": 1, "seconds": seconds}
    print(json.dumps({"benchmark": "coverage", "repetitions": args.repetitions, "cells": cells, "machine": machine}))


if __name__ == "__main__":
    main()
