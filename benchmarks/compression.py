"""Bytes and latency of quantised models beside float32 and bf16, at 1 M and at 60 M parameters.

    python benchmarks/compression.py [--rounds 5] [--sizes 1M 60M]

The models are `demo-student` and four layers of the shape of a published model of 0.5 B parameters, with random weights
and a small vocabulary. All formats are loaded side by side in one process, on one thread; times are the least of
interleaved rounds: reading 4 rows of 128 tokens, and writing one more token of one row behind 128. Bytes are those of
`model.safetensors`. Quantised models multiply by the kernels of serving; `exact` is the arithmetic in which quality is
measured. Also printed: how far the kernels' logits are from it, against the largest logit. Exits with 1 where a target
is missed.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from machine import processor

from pipestill.compression.kernels import use_fast_kernels
from pipestill.compression.quantising import convert
from pipestill.compression.storing import save_quantized
from pipestill.job.startup import hide_unused
from pipestill.models.hardware import HardwarePlan, apply
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.saving import save_model
from pipestill.settings.compression import Quantize

STUDENT = Path(__file__).parents[1] / "resources" / "models" / "demo-student"
HALF_BILLION = {
    **{"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 4, "num_attention_heads": 14},
    **{"num_key_value_heads": 2, "tie_word_embeddings": True},
}
SCHEMES = ("int8", "int4", "int3", "int2", "int8-dynamic")
ROWS, TOKENS, STEPS = 4, 128, 16
PLAN = HardwarePlan("cpu")
TARGETS = {  # at 60 M
    "int8 decode, against float32": ("60M", "int8", "decode", 3.0),
    "int8-dynamic decode, against float32": ("60M", "int8-dynamic", "decode", 3.0),
    "int4 decode, against float32": ("60M", "int4", "decode", 3.0),
}
LARGEST = 0.45  # int4 on disk, against bf16 at 60 M


def source(size: str) -> Any:
    """A model in float32."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    if size == "1M":
        return load_base_model(STUDENT, PLAN)
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=1536, **HALF_BILLION)).eval()


def formats(size: str, place: Path) -> dict[str, Path]:
    """A directory of each format."""
    tokenizer, made = load_tokenizer(STUDENT), {}
    for name in ("fp32", "bf16", *SCHEMES):
        model, made[name] = source(size), place / f"{size}-{name}"
        if name in SCHEMES:
            convert(model, Quantize(scheme=name))
            save_quantized(model, tokenizer, made[name], lineage={})
        else:
            save_model(model.bfloat16() if name == "bf16" else model, tokenizer, made[name], lineage={})
    return made


def prefill(model: Any, tokens: torch.Tensor) -> float:
    """Seconds to read all rows."""
    start = time.perf_counter()
    model(input_ids=tokens, use_cache=False)
    return time.perf_counter() - start


def decode(model: Any, tokens: torch.Tensor) -> float:
    """Seconds to write a token of the first row."""
    cache, least = model(input_ids=tokens[:1], use_cache=True).past_key_values, float("inf")
    for step in range(STEPS):
        start = time.perf_counter()
        model(input_ids=tokens[:1, step : step + 1], past_key_values=cache, use_cache=True)
        least = min(least, time.perf_counter() - start)
    return least


def compare(size: str, place: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Bytes, seconds and distance of each format."""
    directories, models, found = formats(size, place), {}, {}
    tokens = torch.randint(3, 1536, (ROWS, TOKENS), generator=torch.Generator().manual_seed(1))
    for name, directory in directories.items():
        plan = HardwarePlan("cpu", precision="bf16") if name == "bf16" else PLAN
        models[name] = load_base_model(directory, plan)
        found[name] = {"bytes": (directory / "model.safetensors").stat().st_size}
        if name in SCHEMES:
            exact = models[name](input_ids=tokens).logits
            found[name]["fast layers"] = use_fast_kernels(models[name], directory)
            distance = (models[name](input_ids=tokens).logits - exact).abs().max() / exact.abs().max()
            found[name]["distance"] = float(distance)
    models["int8, exact"] = load_base_model(directories["int8"], PLAN)
    found["int8, exact"] = {"bytes": found["int8"]["bytes"]}
    steps: dict[str, Callable[[Any, torch.Tensor], float]] = {"prefill": prefill, "decode": decode}
    for _ in range(rounds):
        for name, model in models.items():
            for step, run in steps.items():
                found[name][step] = min(found[name].get(step, float("inf")), run(model, tokens))
    return found


def show(size: str, found: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    whole = found["fp32"]
    print(f"\n{size}: MB, of bf16; ms, times faster than float32; distance of logits from the exact arithmetic")
    print(f"{'':14}{'disk':>9}{'':>7}{'prefill':>11}{'':>7}{'decode':>9}{'':>7}{'distance':>11}{'fast layers':>13}")
    for name, row in found.items():
        share = row["bytes"] / found["bf16"]["bytes"]
        faster = {step: whole[step] / row[step] for step in ("prefill", "decode")}
        print(
            f"{name:14}{row['bytes'] / 1e6:9.2f}{share:7.2f}{1e3 * row['prefill']:11.1f}"
            f"{faster['prefill']:6.1f}x{1e3 * row['decode']:9.2f}{faster['decode']:6.1f}x"
            f"{row.get('distance', 0):11.1e}{row.get('fast layers', 0):13}",
            flush=True,
        )


def judge(found: dict[str, dict[str, dict[str, float]]]) -> dict[str, bool]:
    """Targets and whether they are met."""
    met = {}
    for words, (size, name, step, least) in TARGETS.items():
        ratio = found[size]["fp32"][step] / found[size][name][step]
        met[f"{words}: {ratio:.1f}x, at least {least}x"] = ratio >= least
    share = found["60M"]["int4"]["bytes"] / found["60M"]["bf16"]["bytes"]
    return met | {f"int4 on disk, against bf16: {share:.2f}x, at most {LARGEST}x": share <= LARGEST}


def main() -> None:
    """Measure, print tables and targets, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of all formats (default: %(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=("1M", "60M"), default=["1M", "60M"], help="of the models")
    args = parser.parse_args()
    hide_unused()
    apply(PLAN)
    found = {}
    with tempfile.TemporaryDirectory() as place, torch.inference_mode():
        for size in args.sizes:
            found[size] = compare(size, Path(place), args.rounds)
            show(size, found[size])
    met = judge(found) if "60M" in found else {}
    for words, done in met.items():
        print(f"{'met' if done else 'MISSED'}: {words}")
    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    print(json.dumps({"benchmark": "compression", "found": found, "targets": met, "machine": machine}))
    raise SystemExit(not all(met.values()))


if __name__ == "__main__":
    main()
