"""Stored teacher distributions: bytes, writing, reading; the loss on them; and how exact their gradients are.

Formats hold the same synthetic distributions over 151,936 tokens, in sequences of 128. CPU seconds of one thread,
rivals taken in turn, medians. Writing begins with the likeliest tokens in memory (``sample`` and ``full`` with all
log-probabilities). A read takes one sequence at random, from the page cache, and ends with ids and log-probabilities as
tensors.

* ``full fp16``: logits in safetensors; four sequences.
* ``JSON top-10``: a line per sequence, ``{"token id": probability}`` per token.
* ``DistillKit``: reconstructed from its description: ids of 18 bits in order of rank, the first log-probabilities in
  bfloat16, a least-squares curve over the rank for the others, as lists of bytes in Parquet, read through ``datasets``.
  *recommended*: k = 128, 16 exact, terms 1, t, t^2, t^3, t^4, sqrt(t); *budget*: k = 50, 1 exact, terms 1, t, sqrt(t).
* ``list columns``: k = 50, int32 and float32, lists of lists in Parquet (zstd), read through ``datasets`` as tensors.
* ``topk`` (k = 50), ``sample`` (50 draws) and ``full`` are ours, read through ``DistributionStore``. What a shard of
  ``topk`` holds once, 8 bytes for each id of the vocabulary, is not counted as bytes per token.

The loss: value and gradient from given logits. ``densify`` spreads the tail evenly and leaves the rest to autograd;
``ours`` is ``BucketTarget.loss_and_gradient``, which writes the gradient over the logits, as the fused loss does;
``differentiable`` is ``sparse_divergence``, which does not change its input.

Fidelity: angle and ratio of lengths between the gradients of the demo student's head from stored and from exact
distributions of the demo teacher, on answers of the instruction family of their corpus; the tails' mean shape is
measured on other answers.

    python benchmarks/distribution_cache.py [--sequences 64] [--rounds 5] [--part formats|loss|fidelity ...]
"""

import argparse
import json
import math
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import numpy as np
import torch
from distribution_formats import DENSE, FORMATS, LENGTH, VOCAB, Sequences
from machine import peak_beyond, processor
from torch import Tensor
from torch.nn.functional import kl_div

from pipestill.losses.sparse import BucketTarget, sparse_divergence
from pipestill.losses.targets import LogitsTarget
from pipestill.models.hardware import keep_freed_memory
from pipestill.teacher.distributions.codecs import make_codec
from pipestill.teacher.distributions.fidelity import compare
from pipestill.teacher.distributions.tails import mean_tail

READS = 200  # sequences read in a round, at random
KINDS = ("fkl", "rkl", "jsd", "todi")
MODELS = Path(__file__).parents[1] / "resources" / "models"
MOST_BYTES = {"topk": 170, "sample": 80}  # what the project promises: bytes per token,
REQUIRED = {  # and rival / ours
    "read DistillKit recommended": 30,
    "read DistillKit budget": 30,
    "read list columns": 20,
    **{f"loss {kind}": 4 for kind in KINDS},
    **{f"memory {kind}": 20 for kind in KINDS},
}


def report_formats(sequences: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure and print all formats; ratios of reading rates, and bytes per token of ours."""
    data = Sequences(sequences)
    print(f"\nformats: {LENGTH * len(data):,} tokens, mean entropy {data.entropy:.2f} nats")
    print(f"{'':>24}{'bytes/token':>14}{'write, tokens/s':>18}{'read, tokens/s':>18}")
    draw = np.random.default_rng(0)
    with TemporaryDirectory() as directory:
        formats = [make(data, Path(directory)) for make in FORMATS]
        writing: dict[str, float] = {}
        for one in formats:
            start = time.process_time()
            one.write()
            writing[one.name] = time.process_time() - start + one.extra_seconds
            one.open()
            one.read(0)
        reading: dict[str, list[float]] = {one.name: [] for one in formats}
        for _ in range(rounds):
            for one in formats:
                indices = draw.integers(0, one.count, READS if one.count > DENSE else DENSE).tolist()
                start = time.process_time()
                for index in indices:
                    one.read(index)
                reading[one.name].append((time.process_time() - start) / len(indices))
        size = {one.name: one.bytes_per_token() for one in formats}
        rates = {one.name: LENGTH / statistics.median(reading[one.name]) for one in formats}
        for one in formats:
            written = one.count * LENGTH / writing[one.name]
            print(f"{one.name:>24}{size[one.name]:>14,.1f}{written:>18,.0f}{rates[one.name]:>18,.0f}", flush=True)
    ratios = {f"read {name}": round(rates["topk"] / rate, 1) for name, rate in rates.items() if name != "topk"}
    return ratios, {name: round(size[name], 1) for name in MOST_BYTES}


class Loss:
    """Logits, and the 50 likeliest tokens of a teacher with the mass of the others."""

    def __init__(self, tokens: int, vocab: int = VOCAB, device: str = "cpu"):
        generator = torch.Generator(device).manual_seed(0)
        zipf = -torch.arange(2, vocab + 2, device=device).log()
        self.given = zipf + 2 * torch.randn(tokens, vocab, generator=generator, device=device)
        self.ids, self.log_probs, self.tail = [], [], []
        for logits in self.given.split(64):
            noise = torch.randn(logits.shape, generator=generator, device=device)
            log_probs = (logits + noise).log_softmax(1)
            ids = log_probs.topk(50).indices.sort(1).values
            self.ids.append(ids)
            self.log_probs.append(log_probs.gather(1, ids))
            self.tail.append(log_probs.exp_().scatter_(1, ids, 0.0).sum(1).log())
        self.ids, self.log_probs, self.tail = map(torch.cat, (self.ids, self.log_probs, self.tail))
        self.target = BucketTarget(self.ids, self.log_probs, self.tail)
        self.student = self.given.clone().requires_grad_()

    def step(self, way: str, kind: str) -> None:
        """Value and gradient."""
        self.student.grad = None
        if way == "ours":
            self.target.loss_and_gradient(kind, self.student.data, slice(0, len(self.ids)))
        elif way == "differentiable":
            sparse_divergence(kind, self.student, self.target).sum().backward()
        else:
            self.densified(kind).backward()

    def densified(self, kind: str) -> Tensor:
        """The divergence from a dense teacher whose tail is even, in plain torch."""
        log_q, vocab = self.student.log_softmax(1), self.student.shape[1]
        even = self.tail - math.log(vocab - 50)
        log_p = even[:, None].expand(-1, vocab).scatter(1, self.ids, self.log_probs)
        if kind == "fkl":
            return kl_div(log_q, log_p, reduction="sum", log_target=True)
        if kind == "rkl":
            return kl_div(log_p, log_q, reduction="sum", log_target=True)
        if kind == "jsd":
            log_m = torch.logaddexp(log_p, log_q) - math.log(2)
            halves = (kl_div(log_m, one, reduction="sum", log_target=True) for one in (log_p, log_q))
            return sum(halves) / 2
        weight = (log_p - log_q).detach().sigmoid()
        return ((weight * log_p.exp() - (1 - weight) * log_q.exp()) * (log_p - log_q)).sum()


def report_loss(rounds: int) -> tuple[dict[str, float], dict[str, dict[str, int]]]:
    """Measure and print the loss: ratios of times and of peak memory, and the memory."""
    ways = ("densify", "differentiable", "ours")
    print("\nloss on 256 tokens, k = 50: CPU ms (ratio to ours); peak MB beyond the given, of 512 tokens")
    print(f"{'':>8}" + "".join(f"{way:>22}" for way in ways))
    data, ratios, memory = Loss(256), {}, {}
    for kind in KINDS:
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way in ways:
                data.student.data.copy_(data.given)
                start = time.process_time()
                data.step(way, kind)
                if number:
                    seconds[way].append(time.process_time() - start)
        medians = {way: statistics.median(values) for way, values in seconds.items()}
        memory[kind] = {way: round(peak_mb(way, kind)) for way in ways}
        row = f"{kind:>8}"
        for way in ways:
            time_ratio = f"{1e3 * medians[way]:.0f} ({medians[way] / medians['ours']:.1f}x)"
            row += f"{time_ratio + f' {memory[kind][way]:>5} MB':>22}"
        print(row, flush=True)
        ratios[f"loss {kind}"] = round(medians["densify"] / medians["ours"], 1)
        ratios[f"memory {kind}"] = round(memory[kind]["densify"] / max(1, memory[kind]["ours"]), 1)
    return ratios, memory


def peak_mb(way: str, kind: str) -> float:
    """Peak memory of a step in a process of its own, beyond what it is given, in MB (10^6 bytes)."""
    from machine import peak_alone

    return peak_alone(__file__, way, kind)


def measure_memory(way: str, kind: str) -> float:
    """Entry for :func:`peak_mb`."""
    Loss(4).step(way, kind)  # libraries allocate their own first
    data = Loss(512)
    return peak_beyond(lambda: data.step(way, kind))


def report_fidelity() -> dict[str, dict[str, float]]:
    """Measure and print angles and ratios of lengths of the demo models' gradients."""
    codecs = [({"name": "topk", "k": k}, tail) for k in (12, 50) for tail in ("bucket", "unigram")]
    codecs += [({"name": "sample", "draws": draws}, None) for draws in (25, 50)]
    hidden, student, teacher = demo_answers()
    held_out, found = 512, {}
    print(
        f"\nfidelity: degrees / ratio of lengths on {held_out} tokens of {len(hidden)}, vocabulary {student.shape[1]}"
    )
    print(f"{'':>28}" + "".join(f"{kind:>14}" for kind in (*KINDS, "akl")))
    for temperature in (1.0, 2.0):
        log_probs = (teacher / temperature).log_softmax(1)
        entropy = float(torch.special.entr(log_probs.exp()).sum(1).mean())
        print(f"temperature {temperature:g}, mean entropy {entropy:.2f} nats")
        for description, tail in codecs:
            codec, prior = make_codec(description, student.shape[1]), None
            if tail == "unigram":
                prior = torch.from_numpy(mean_tail([codec.tail_sums(log_probs[held_out:])]))
            row = codec.encode(log_probs[:held_out], "0" * 64, 0)
            target = codec.target(row, [held_out], temperature, prior, "cpu")
            name = " ".join(map(str, [*description.values(), tail or ""]))
            cells = []
            for kind in (*KINDS, "akl") if codec.has_tail else ("fkl",):
                stored, exact = (
                    one.loss_and_gradient(
                        kind, student[:held_out].clone(), slice(0, held_out), temperature=temperature
                    )[1]
                    for one in (target, LogitsTarget(teacher[:held_out]))
                )
                angle, ratio = compare(hidden[:held_out], stored, exact)
                cells.append(f"{angle:>8.1f}/{ratio:.2f}")
                found[f"T={temperature:g} {name.strip()} {kind}"] = {
                    "angle": round(angle, 2),
                    "norm_ratio": round(ratio, 3),
                }
            print(f"{name:>28}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    return found


def demo_answers() -> list[Tensor]:
    """Hidden states and logits of the demo's student, logits of its teacher, where answers are predicted."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pipestill.pretraining.corpus.mixture import family_documents

    tokenizer = AutoTokenizer.from_pretrained(MODELS / "tokenizer")
    names = ("demo-student", "demo-teacher")
    models = [AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32) for name in names]
    found: tuple[list[Tensor], ...] = ([], [], [])
    for document in family_documents("instructions", "fidelity", 200):
        parts = [(tokenizer.encode(text, add_special_tokens=False), learnt) for text, learnt in document.segments]
        ids = torch.tensor([index for part, _ in parts for index in part])
        learnt = torch.tensor([learnt for part, learnt in parts for _ in part])[1:]
        with torch.no_grad():
            student, teacher = (model(ids[None], output_hidden_states=True) for model in models)
        for values, kept in zip((student.hidden_states[-1], student.logits, teacher.logits), found, strict=True):
            kept.append(values[0, :-1][learnt])
    return [torch.cat(values) for values in found]


def main() -> None:
    """Measure, print tables, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=64, help="different sequences of the formats")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each way, taken in turn")
    parser.add_argument("--part", choices=["formats", "loss", "fidelity"], action="append", help="default: all")
    parser.add_argument("--measure-memory", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.measure_memory:
        print(measure_memory(*args.measure_memory))
        return
    keep_freed_memory()  # as in jobs; a peak would not be seen with it
    parts = args.part or ["formats", "loss", "fidelity"]
    ratios, size, memory, fidelity = {}, {}, {}, {}
    if "formats" in parts:
        ratios, size = report_formats(args.sequences, args.rounds)
    if "loss" in parts:
        of_loss, memory = report_loss(args.rounds)
        ratios |= of_loss
    if "fidelity" in parts:
        fidelity = report_fidelity()
    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    results = {"ratios": ratios, "bytes_per_token": size, "memory_mb": memory, "fidelity": fidelity}
    print(json.dumps({"benchmark": "distribution_cache", **results, "machine": machine}))
    missed = {name: ratios[name] for name, least in REQUIRED.items() if ratios.get(name, least) < least}
    missed |= {name: size[name] for name, most in MOST_BYTES.items() if size.get(name, 0) > most}
    if missed:
        raise SystemExit(f"short of what is promised: {missed}; promised {REQUIRED} and at most {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
