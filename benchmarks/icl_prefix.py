"""In-context learning: label ranking that reads demonstrations once, against reading them again before each question.

The demo's student (1 M parameters) answers questions of the synthetic `mnli` behind demonstrations, as the method `icl`
does. The rival ``again`` reads demonstrations, question and labels for each question, in batches that are sorted by
length and padded to the same budget of tokens as ours, with the same trie of labels and the same head; ``wider`` is the
same with a budget of eight times as many tokens, and ``single`` reads one question at a time. All run in turn in one
process, in CPU seconds of one thread. Ours and ``again`` must agree to 1e-5 with weights in float64; of float32, where
they add up in another order, the error of each is told.

    python benchmarks/icl_prefix.py [--shots 16] [--queries 240] [--rounds 3]
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from machine import processor

from pipestill.answers.demonstrations import Demonstrations
from pipestill.inference.label_trie import build_trie
from pipestill.inference.loaded import load
from pipestill.inference.prefix import common_prefix_length
from pipestill.inference.ranking import CPU_TOKENS, score_all_labels, score_batch
from pipestill.io.records import Record
from pipestill.models.hardware import HardwarePlan
from pipestill.models.prompts import word_ids
from pipestill.tasks import TASKS
from pipestill.text.context import Context

DEMO = Path(__file__).parents[1] / "resources" / "models" / "demo-student"
MNLI, PROMPT = TASKS["mnli"], "gpt-3"
WIDER = 8
TOLERANCE = 1e-5
PROMISED = 5.0  # rival / ours

Tokens = list[list[int]]


def examples(role: str, count: int) -> list[Record]:
    """The first records of a role of the synthetic data."""
    rows, _ = MNLI.synthetic({role: 2 * count}, 1)
    kept = [row for row in rows[role] if row["gold_label"] in MNLI.answers.labels][:count]
    found = [(str(number), MNLI.parse(row)) for number, row in enumerate(kept)]
    return [Record(name, "train", each.inputs, each.target, [each.target]) for name, each in found]


def build(shots: int, queries: int) -> tuple[torch.nn.Module, Tokens, Tokens]:
    """The model, the questions behind their context, and the words of the labels."""
    loaded, prompt = load(DEMO, None, HardwarePlan("cpu")), MNLI.prompts[PROMPT]
    shown = Demonstrations(examples("train", 10 * shots), MNLI.answers, 1).take(shots)
    solved = tuple((prompt.fill(each.inputs), prompt.answer(each.target)) for each in shown)
    context = Context(demonstrations=solved, separator=prompt.separator)
    questions = [prompt.fill(each.inputs) for each in examples("matched", queries)]
    encode = replace(loaded, context=context).encoder(prompt)
    answers = [prompt.answer(label) for label in MNLI.answers.labels]
    words = word_ids(loaded.tokenizer, prompt.form, answers, questions[0])
    return loaded.model, [encode(question, 512) for question in questions], words


def again(model: torch.nn.Module, prompts: Tokens, words: Tokens, budget: int) -> np.ndarray:
    """Scores of whole prompts, batch by batch, nothing shared; ``budget`` in tokens, padding included."""
    trie, scores = build_trie(words), np.empty((len(prompts), len(words)))
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    start = 0
    while start < len(order):
        size = max(1, budget // (len(prompts[order[start]]) + len(trie.tokens)))
        batch = order[start : start + size]
        scores[batch] = score_batch(model, [prompts[index] for index in batch], trie).mean_log_prob
        start += size
    return scores


def once(model: torch.nn.Module, prompts: Tokens, words: Tokens) -> np.ndarray:
    """Scores by the label ranking of prediction jobs."""
    return score_all_labels(model, prompts, words).mean_log_prob


WAYS = {
    "ours": once,
    "again": lambda *given: again(*given, CPU_TOKENS),
    "wider": lambda *given: again(*given, WIDER * CPU_TOKENS),
    "single": lambda *given: again(*given, 1),
}


def largest(scores: np.ndarray, others: np.ndarray) -> float:
    """Largest difference of a score."""
    return float(np.abs(scores - others).max())


def main() -> None:
    """Measure, print a table and a last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=16, help="demonstrations (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=240, help="questions (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved repetitions (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    busy = os.getloadavg()[0]
    model, prompts, words = build(arguments.shots, arguments.queries)
    shared = common_prefix_length(prompts)
    for way in WAYS.values():
        way(model, prompts[:2], words)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(arguments.rounds):
        scores = {}
        for name, way in WAYS.items():
            start = time.process_time()
            scores[name] = way(model, prompts, words)
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {name: round(value / median["ours"], 2) for name, value in median.items()}
    model.double()
    exact = once(model, prompts, words)
    difference = largest(exact, WAYS["again"](model, prompts, words))
    errors = {name: largest(exact, found) for name, found in scores.items()}
    asked = statistics.mean(map(len, prompts)) - shared
    print(f"{arguments.shots} demonstrations, {shared} tokens; {len(prompts)} questions of {asked:.0f} tokens")
    print(f"load average of the machine: {busy:.1f}")
    print(f"{'way':<10}{'CPU s':>8}{'ms/question':>13}{'rival/ours':>12}{'error in float32':>18}")
    for name, value in median.items():
        each, ratio = 1000 * value / len(prompts), f"{ratios[name]:.1f}x"
        print(f"{name:<10}{value:>8.2f}{each:>13.2f}{ratio:>12}{errors[name]:>18.1e}")
    print(f"largest difference of a score in float64: {difference:.1e}")
    facts = {"shots": arguments.shots, "queries": len(prompts), "shared_tokens": shared, "difference": difference}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    machine = {"processor": processor(), "load_average": round(busy, 2), **versions}
    print(json.dumps({"benchmark": "icl_prefix", "ratios": ratios, "errors": errors, **facts, "machine": machine}))
    if difference > TOLERANCE:
        sys.exit(f"scores differ by {difference:.1e}, more than {TOLERANCE:.0e}")
    if min(ratios["again"], ratios["wider"]) < PROMISED:
        sys.exit(f"less than {PROMISED:g} times as fast")


if __name__ == "__main__":
    main()
