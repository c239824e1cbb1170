"""Label ranking: pipestill against one forward per example and label, and against lm-evaluation-harness's scheme.

All run in one process on one random Qwen2-shaped model of 60 M parameters, interleaved, in CPU seconds of one thread;
peak memory is taken in fresh subprocesses. Both rivals are reconstructed: ``seed`` is the usual loop over the model's
own loss, ``harness`` follows the scheme of lm-evaluation-harness's HFLM (requests sorted by length, right-padded
batches, one forward for requests with equal context + continuation[:-1], log-softmax over all positions).
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from machine import RESET, peak_beyond, processor

from pipestill.inference.ranking import score_all_labels

LONG = "shared_512"  # slow for the rivals, so it gets a third of the examples
SETTINGS = {  # shortest and longest prompt, tokens that all prompts share
    "no_prefix": (100, 140, 0),
    "shared_40": (100, 140, 48),
    LONG: (552, 592, 512),
}
LABEL_LENGTHS = (1, 2, 3)
BATCH = 16  # requests per forward of the harness's scheme
TOLERANCE = 1e-5
VOCABULARY = 32_000


def build_model() -> transformers.PreTrainedModel:
    """A random Qwen2 model: 8 layers of 512, vocabulary 32,000, untied head."""
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1792,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    return transformers.Qwen2ForCausalLM(config).eval()


def build_data(setting: str, examples: int) -> tuple[list[list[int]], list[list[int]]]:
    """Random prompts and labels of one setting."""
    shortest, longest, shared = SETTINGS[setting]
    draw = random.Random(7)

    def tokens(n: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(n)]

    prefix = tokens(shared)
    prompts = [prefix + tokens(draw.randint(shortest, longest) - shared) for _ in range(examples)]
    return prompts, [tokens(length) for length in LABEL_LENGTHS]


@torch.inference_mode()
def seed(model, prompts, labels) -> np.ndarray:
    """One forward per example and label, batch 1, logits of all positions, mean loss of the label's tokens."""
    scores = np.empty((len(prompts), len(labels)))
    for i, prompt in enumerate(prompts):
        for j, label in enumerate(labels):
            ids = torch.tensor([prompt + label], device=model.device)
            targets = ids.clone()
            targets[:, : len(prompt)] = -100
            scores[i, j] = -model(input_ids=ids, labels=targets, use_cache=False).loss.item()
    return scores


@torch.inference_mode()
def harness(model, prompts, labels) -> np.ndarray:
    """Sorted, right-padded batches of distinct context + continuation[:-1]; log-softmax of all positions."""
    requests: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for i, prompt in enumerate(prompts):
        for j, label in enumerate(labels):
            requests.setdefault(tuple(prompt + label[:-1]), []).append((i, j))
    order = sorted(requests, key=lambda request: (-len(request), request))
    scores = np.empty((len(prompts), len(labels)))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        ids = torch.zeros(len(batch), len(batch[0]), dtype=torch.long, device=model.device)
        for row, request in enumerate(batch):
            ids[row, : len(request)] = torch.tensor(request, device=model.device)
        log_probs = model(input_ids=ids, use_cache=False).logits.log_softmax(-1, dtype=torch.float32)
        for row, request in enumerate(batch):
            for i, j in requests[request]:
                rows = log_probs[row, len(prompts[i]) - 1 : len(request)]
                scores[i, j] = rows[range(len(labels[j])), labels[j]].double().mean().item()
    return scores


def ours(model, prompts, labels) -> np.ndarray:
    """One forward over prompt and label trie, common prefix from the cache."""
    return score_all_labels(model, prompts, labels).mean_log_prob


METHODS = {"seed": seed, "harness": harness, "ours": ours}


def measure_time(model, setting: str, examples: int, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each method; exits if their scores differ."""
    prompts, labels = build_data(setting, examples)
    seconds: dict[str, list[float]] = {name: [] for name in METHODS}
    difference = 0.0
    for _ in range(rounds):
        scores = {}
        for name, method in METHODS.items():
            start = time.process_time()
            scores[name] = method(model, prompts, labels)
            seconds[name].append(time.process_time() - start)
        rivals = np.stack([scores["seed"], scores["harness"]])
        difference = max(difference, float(np.abs(rivals - scores["ours"]).max()))
    if difference > TOLERANCE:
        sys.exit(f"{setting}: scores differ by {difference:.1e}, more than {TOLERANCE:.0e}")
    return {name: statistics.median(values) for name, values in seconds.items()} | {"difference": difference}


def peak_memory(method: str, setting: str) -> float:
    """MB that ``method`` adds to this process's resident memory at its peak, on 16 examples."""
    model = build_model()
    prompts, labels = build_data(setting, BATCH)
    METHODS[method](model, [prompt[:20] for prompt in prompts[:2]], labels)  # libraries allocate their own first
    return peak_beyond(lambda: METHODS[method](model, prompts, labels))


def measure_memory(setting: str) -> dict[str, float]:
    """Peak memory of each method, each in a fresh process; nothing where the kernel does not report it."""
    if not RESET.exists():
        return {}
    command = [sys.executable, __file__, "--settings", setting, "--memory-of"]
    run = {m: subprocess.run([*command, m], check=True, capture_output=True, text=True).stdout for m in METHODS}
    return {method: float(output) for method, output in run.items()}


def machine() -> dict[str, object]:
    """The machine and versions of the figures."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **versions,
    }


def main() -> None:
    """Measure, print a table and a last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=120, help="prompts per setting (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="interleaved repetitions (default: %(default)s)")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="default: all three")
    parser.add_argument("--memory-of", choices=METHODS, help="print only this method's peak memory in MB")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        print(peak_memory(arguments.memory_of, arguments.settings[0]))
        return

    model = build_model()
    for method in METHODS.values():
        method(model, *build_data(arguments.settings[0], 2))
    ratios, memory_mb = {}, {}
    print(f"{'setting':<12}{'method':<10}{'ms/example':>11}{'rival/ours':>12}{'peak MB':>9}{'rival/ours':>12}")
    for setting in arguments.settings:
        examples = max(1, arguments.examples // 3) if setting == LONG else arguments.examples
        timing = measure_time(model, setting, examples, arguments.rounds)
        memory = measure_memory(setting)
        for name in METHODS:
            ratio = timing[name] / timing["ours"]
            line = f"{setting:<12}{name:<10}{1000 * timing[name] / examples:>11.1f}{ratio:>11.1f}x"
            if memory:
                line += f"{memory[name]:>9.0f}{memory[name] / memory['ours']:>11.1f}x"
                memory_mb[f"{name}_{setting}"] = round(memory[name], 1)
            print(line, flush=True)
            if name != "ours":
                ratios[f"{name}_{setting}"] = round(ratio, 2)
        print(f"{'':<12}largest difference of a score: {timing['difference']:.1e}", flush=True)
    print(json.dumps({"benchmark": "label_ranking", "ratios": ratios, "memory_mb": memory_mb, "machine": machine()}))


if __name__ == "__main__":
    main()
