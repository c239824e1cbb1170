"""What is promised for GPUs, beside rivals and floors: one short command, at most 8 minutes on an H200.

* ``fused``: the loss of both models' heads and hidden states in bfloat16, 8,192 tokens, vocabulary 151,936, hidden
  2,048 and 4,096, beside the published formulation in plain torch, TRL's two losses and Liger's (its scheme is
  reconstructed where liger-kernel is not installed), and the matrix products alone, which are the floor.
* ``sparse``: the same from 50 stored tokens of a teacher and the mass of the others.
* ``qlora``: steps of QLoRA on a random model of the shape of Qwen2.5-3B, ours and the Trainer's default: with the
  preset ``gpu-8gb`` (batch 1, checkpointing), whose peak must stay within 8 GB, and in batches of 8.
* ``ranking``, ``generation``: on that model in bfloat16, as ``label_ranking.py`` and ``generation.py`` have it.
* ``nccl``: two processes, a GPU each: an all-reduce, and gradients of a batch in two halves against the whole.

What cannot be measured is in the JSON as ``{"not_measured": reason}``, and no number stands for it. ``--tiny`` runs the
same code on small shapes, on a CPU too, to see that it works.

    python benchmarks/gpu.py [--part fused ...] [--json FILE] [--rounds 5] [--minutes 8] [--tiny]
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from machine import Row, not_measured, processor

PARTS = {"fused": "losses", "sparse": "losses", "qlora": "models", "ranking": "models", "generation": "models"}
PARTS |= {"nccl": "processes"}
LIBRARIES = ("torch", "triton", "transformers", "peft", "bitsandbytes", "trl", "liger-kernel")


class Report:
    """Rows of one part, printed as they come.

    Args:
        device: ``cuda`` or ``cpu``.
        rounds: timed calls of each way.
        tiny: whether shapes are small.
        until: time of ``time.monotonic()`` from which nothing more is measured.
    """

    def __init__(self, device: str, rounds: int, tiny: bool, until: float):
        self.device, self.rounds, self.tiny, self.until = device, rounds, tiny, until
        self.rows: dict[str, Row] = {}

    def add(self, name: str, row: Callable[[], Row]) -> Row:
        """Measure a row, unless the time is over."""
        late = time.monotonic() >= self.until
        self.rows[name] = found = not_measured("the minutes are over") if late else row()
        print(f"  {name:<44}" + "  ".join(f"{key} {value}" for key, value in found.items()), flush=True)
        return found

    def divide(self, name: str, by: str, key: str) -> None:
        """Add to a row how many times as long it took as another one, where both were measured."""
        own, other = (self.rows[each].get("ms") for each in (name, by))
        if own and other:
            self.rows[name][key] = round(own / other, 3)


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Measure, print rows, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each way")
    parser.add_argument("--minutes", type=float, default=8, help="after which nothing more is measured")
    parser.add_argument("--tiny", action="store_true", help="small shapes, on a CPU too")
    args = parser.parse_args()
    start = time.monotonic()
    there = torch.cuda.is_available()
    device, results = "cuda" if there else "cpu", {}
    for part in args.part or PARTS:
        print(part, flush=True)
        report = Report(device, args.rounds, args.tiny, start + 60 * args.minutes)
        if there or args.tiny:
            getattr(import_module(f"gpu_{PARTS[part]}"), part)(report)
            if there:
                torch.cuda.empty_cache()
        else:
            report.add(part, partial(not_measured, "torch finds no CUDA device; --tiny runs on a CPU"))
        results[part] = report.rows
    facts = {
        "device": torch.cuda.get_device_name() if there else processor(),
        "devices": torch.cuda.device_count(),
        "versions": versions(),
    }
    found = {"benchmark": "gpu", "tiny": args.tiny, "seconds": round(time.monotonic() - start), "parts": results}
    text = json.dumps(found | {"machine": facts})
    if args.json:
        args.json.write_text(f"{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
