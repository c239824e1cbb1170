"""Token-wise divergences: pipestill against the published formulation, TRL's losses and Liger's.

Everything runs in one process, interleaved, in CPU seconds of one thread, medians; peak memory in fresh subprocesses.

* ``published``: as the ToDi and DSKD repositories write it, in plain torch: logits of all positions of both models,
  softmax and log-softmax of each in float32, masks on the products, cross-entropy, autograd.
* ``trl``: ``GKDTrainer.generalized_jsd_loss`` on the same logits; it has no cross-entropy.
* ``trl_chunked``: ``ChunkedDivergenceFunction``, the kernel of ``DistillationTrainer``; no cross-entropy either.
* ``liger``: ``LigerFusedLinearJSDLoss`` with cross-entropy, not compiled, chunks of 128 tokens; where liger-kernel is
  installed.
* ``ours``: ``linear_divergence``.

From given logits ``ours`` is ``LogitsTarget.loss_and_gradient``, which writes the gradient over the student's logits,
``token_divergence`` the differentiable function, which does not change its inputs.

    python benchmarks/token_divergences.py [--quick] [--rounds 3] [--part linear] [--part logits]
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from machine import peak_beyond, processor
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from pipestill.losses import CHUNK, IGNORED
from pipestill.losses.divergences import token_divergence
from pipestill.losses.kinds import KINDS
from pipestill.losses.linear import linear_divergence
from pipestill.losses.targets import HiddenTarget, LogitsTarget
from pipestill.models.hardware import keep_freed_memory

BETA = {"fkl": 0.0, "rkl": 1.0, "jsd": 0.5}  # of the generalised Jensen-Shannon divergence, as TRL and Liger count it
LINEAR_WAYS = ("published", "trl", "trl_chunked", "liger", "ours")
LOGITS_WAYS = ("published", "trl", "ours", "token_divergence")


@dataclass(frozen=True)
class Case:
    """A setting of the table.

    Attributes:
        vocab: entries of both heads.
        hidden: width of both models.
        tokens: positions, with and without a label.
        labelled: share of the positions that have a label.
        dtype: of weights and hidden states.
        frozen: whether the student's head is frozen.
    """

    vocab: int
    hidden: int
    tokens: int
    labelled: float = 1.0
    dtype: str = "float32"
    frozen: bool = False


LINEAR = {  # cases and kinds
    "152k": (Case(151_936, 896, 256), ("todi", "jsd")),
    "152k, 35 % labelled": (Case(151_936, 896, 512, labelled=0.35), ("todi", "jsd")),
    "152k, bfloat16": (Case(151_936, 896, 512, dtype="bfloat16"), ("todi", "jsd")),
    "152k, frozen head": (Case(151_936, 896, 256, frozen=True), ("todi",)),
    "50k": (Case(50_257, 768, 512), tuple(KINDS)),
    "50k, 2048 tokens": (Case(50_257, 768, 2048), ("todi",)),
}
LOGITS = {"152k": Case(151_936, 64, 256), "50k": Case(50_257, 64, 512)}
QUICK = Case(8_192, 64, 64)
MEMORY = Case(151_936, 896, 512)
LONG = Case(151_936, 896, 2048)
REQUIRED = {  # what the project promises: rival / ours
    "linear 152k todi published": 1.4,
    "linear 152k jsd published": 1.4,
    "linear 152k jsd trl_chunked": 2.5,
    "linear 152k jsd liger": 1.8,
    "linear 152k, 35 % labelled todi published": 3.5,
    "linear 152k, 35 % labelled jsd published": 3.5,
    "linear 152k, bfloat16 todi published": 2.8,
    "linear 152k, bfloat16 jsd published": 2.8,
    **{
        f"logits {name} {kind} published": 6
        for name in LOGITS
        for kind in ("fkl", "rkl", "jsd", "sfkl", "srkl", "todi")
    },
    **{f"logits {name} akl published": 12 for name in LOGITS},
}


def published(kind: str, student: Tensor, teacher: Tensor, labels: Tensor, epsilon: float = 1e-9) -> Tensor:
    """Sum of the divergences of labelled rows, by its formula in plain torch, in float32 or wider.

    Args:
        kind: of the divergence, with its default options.
        student: logits [tokens, vocab].
        teacher: logits [tokens, vocab].
        labels: [tokens].
        epsilon: what is added inside of the logarithms of ``jsd``.
    """
    dtype = torch.promote_types(student.dtype, torch.float32)
    p, q = teacher.softmax(-1, dtype=dtype), student.softmax(-1, dtype=dtype)
    infinite = student.isinf() | teacher.isinf()

    def log_p() -> Tensor:
        return teacher.log_softmax(-1, dtype=dtype)

    def log_q() -> Tensor:
        return student.log_softmax(-1, dtype=dtype)

    def total(terms: Tensor) -> Tensor:
        return terms.masked_fill(infinite, 0).sum(-1)

    def forward() -> Tensor:
        return total(p * log_p() - p * log_q())

    def reverse() -> Tensor:
        return total(q * log_q() - q * log_p())

    if kind == "fkl":
        values = forward()
    elif kind == "rkl":
        values = reverse()
    elif kind == "jeffreys":
        values = forward() + reverse()
    elif kind == "symmetric":
        values = 0.5 * forward() + 0.5 * reverse()
    elif kind == "jsd":
        log_m = ((p + q) / 2 + epsilon).log()
        values = 0.5 * total(p * ((p + epsilon).log() - log_m)) + 0.5 * total(q * ((q + epsilon).log() - log_m))
    elif kind == "tvd":
        values = 0.5 * total((p - q).abs())
    elif kind == "sfkl":
        values = total(p * log_p() - p * (0.1 * p + 0.9 * q).log())
    elif kind == "srkl":
        values = total(q * log_q() - q * (0.9 * p + 0.1 * q).log())
    elif kind == "akl":
        in_order, order = p.sort(-1)
        tail = in_order.cumsum(-1) <= 0.5
        gap = (in_order - q.gather(-1, order)).abs()
        head, rest = (gap * ~tail).sum(-1).detach(), (gap * tail).sum(-1).detach()
        values = (head * forward() + rest * reverse()) / (head + rest)
    elif kind == "todi":
        log_p, log_q = log_p(), log_q()
        towards_p, towards_q = (log_p - log_q).sigmoid().detach(), (log_q - log_p).sigmoid().detach()
        values = total(towards_p * (p * log_p - p * log_q)) + total(towards_q * (q * log_q - q * log_p))
    elif kind == "ab":
        alpha, beta = 0.2, 0.7
        both = alpha + beta
        terms = p**alpha * q**beta - alpha / both * p**both - beta / both * q**both
        values = -total(terms) / (alpha * beta)
    return values.masked_fill(labels == IGNORED, 0).sum()


def trl(kind: str, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """TRL's loss from logits."""
    from trl.experimental.gkd import GKDTrainer

    return GKDTrainer.generalized_jsd_loss(student[None], teacher[None], labels[None], BETA[kind], reduction="sum")


def make_head(vocab: int, hidden: int, draw: torch.Generator) -> Tensor:
    """A head whose first column is a Zipf prior, so that distributions are as uneven as a language model's."""
    head = torch.randn(vocab, hidden, generator=draw, device=draw.device) * (2.5 / math.sqrt(hidden))
    head[:, 0] = -1.1 * torch.arange(1, vocab + 1, device=draw.device).log()
    return head


class Inputs:
    """Hidden states and heads of both models, with labels."""

    def __init__(self, case: Case, device: str = "cpu"):
        draw = torch.Generator(device).manual_seed(0)
        dtype = getattr(torch, case.dtype)
        head = make_head(case.vocab, case.hidden, draw)
        self.teacher_head = (head + 0.3 * make_head(case.vocab, case.hidden, draw)).to(dtype)
        self.student_head = head.to(dtype).requires_grad_(not case.frozen)
        hidden = torch.randn(case.tokens, case.hidden, generator=draw, device=device)
        hidden[:, 0] = 1
        self.hidden = hidden.to(dtype).requires_grad_()
        self.teacher_hidden = self.hidden.detach()
        labels = torch.randint(0, case.vocab, (case.tokens,), generator=draw, device=device)
        labels[round(case.labelled * case.tokens) :] = IGNORED
        self.labels = labels[torch.randperm(case.tokens, generator=draw, device=device)]

    def step(self, way: str, kind: str) -> Tensor:
        """Loss of one way; gradients are left at the tensors."""
        self.hidden.grad = self.student_head.grad = None
        loss = self.loss(way, kind)
        loss.backward()
        return loss

    def loss(self, way: str, kind: str) -> Tensor:
        """Loss of one way, a mean over labelled tokens."""
        labelled = self.labels != IGNORED
        tokens = int(labelled.sum())
        if way in ("published", "trl"):
            student, teacher = self.logits()
            if way == "trl":
                return trl(kind, student, teacher, self.labels) / tokens
            on_labels = cross_entropy(student.float(), self.labels, reduction="sum")
            return (0.5 * on_labels + 0.5 * published(kind, student, teacher, self.labels)) / tokens
        if way == "trl_chunked":
            from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

            teacher = self.teacher_hidden, self.teacher_head, None
            values, _ = ChunkedDivergenceFunction.apply(self.hidden, self.student_head, None, *teacher, BETA[kind])
            return values[labelled].sum() / tokens
        if way == "liger":
            from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

            loss = LigerFusedLinearJSDLoss(beta=BETA[kind], compiled=False, chunk_size=CHUNK)
            return loss(self.hidden, self.student_head, self.teacher_hidden, self.teacher_head, self.labels)
        target = HiddenTarget(self.teacher_hidden[labelled], self.teacher_head)
        return linear_divergence(kind, self.hidden, self.student_head, self.labels, target).loss / tokens

    def products(self, teacher: bool = True) -> None:
        """The matrix products that every loss needs: three of the student, one of the teacher if it has a head."""
        with torch.no_grad():
            for start in range(0, len(self.hidden), 2048):
                hidden = self.hidden[start : start + 2048]
                if teacher:
                    linear(self.teacher_hidden[start : start + 2048], self.teacher_head)
                logits = linear(hidden, self.student_head)
                logits @ self.student_head
                logits.t() @ hidden

    def logits(self) -> tuple[Tensor, Tensor]:
        """Of all positions, [tokens, vocab] of student and teacher."""
        with torch.no_grad():
            teacher = linear(self.teacher_hidden, self.teacher_head)
        return linear(self.hidden, self.student_head), teacher


class LogitsInputs:
    """Logits of both models."""

    def __init__(self, case: Case):
        self.given, self.teacher = (logits.detach() for logits in Inputs(case).logits())
        self.student = self.given.clone().requires_grad_()
        self.labels = torch.zeros(case.tokens, dtype=torch.long)
        self.target = LogitsTarget(self.teacher)

    def step(self, way: str, kind: str) -> Tensor:
        """Loss of one way; the gradient is left at the logits, or in them."""
        self.student.grad = None
        if way == "ours":
            values, _ = self.target.loss_and_gradient(kind, self.student.data, slice(0, len(self.labels)))
            return values.sum()
        if way == "token_divergence":
            loss = token_divergence(kind, self.student, self.teacher).sum()
        else:
            loss = {"published": published, "trl": trl}[way](kind, self.student, self.teacher, self.labels)
        loss.backward()
        return loss

    def restore(self) -> None:
        """Undo what ``ours`` wrote over the student's logits."""
        self.student.data.copy_(self.given)


def ways_of(kind: str, ways: tuple[str, ...], case: Case) -> list[str]:
    """The ways that know ``kind`` and are installed."""
    known = [way for way in ways if way not in ("trl", "trl_chunked", "liger") or kind in BETA]
    if importlib.util.find_spec("liger_kernel") is None or case.dtype != "float32":
        known = [way for way in known if way != "liger"]
    return known


def measure_times(inputs: "Inputs | LogitsInputs", kind: str, ways: list[str], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each way, taken in turn."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            if isinstance(inputs, LogitsInputs):
                inputs.restore()
            start = time.process_time()
            inputs.step(way, kind)
            seconds[way].append(time.process_time() - start)
    return {way: statistics.median(values) for way, values in seconds.items()}


def measure_errors(case: Case) -> dict[str, dict[str, float]]:
    """Largest error of the gradient by the logits in float32, over its largest entry in float64."""
    errors = {}
    inputs = LogitsInputs(case)
    for kind in KINDS:
        exact = inputs.given.double().requires_grad_()
        published(kind, exact, inputs.teacher.double(), inputs.labels, epsilon=0).backward()
        errors[kind] = {}
        for way in ("published", "ours"):
            inputs.restore()
            inputs.step(way, kind)
            gradient = inputs.student if way == "ours" else inputs.student.grad
            errors[kind][way] = float((gradient - exact.grad).abs().max() / exact.grad.abs().max())
    return errors


def peak_mb(part: str, way: str, kind: str, case: Case) -> float:
    """Peak memory of a step in a process of its own, beyond what it is given, in MB (10^6 bytes)."""
    from machine import peak_alone

    return peak_alone(__file__, part, way, kind, json.dumps(asdict(case)))


def measure_memory(part: str, way: str, kind: str, case: Case) -> float:
    """Entry for :func:`peak_mb`."""
    make = {"linear": Inputs, "logits": LogitsInputs}[part]
    make(replace(case, vocab=512, tokens=8)).step(way, kind)  # libraries allocate their own first
    inputs = make(case)
    return peak_beyond(lambda: inputs.step(way, kind))


def report_times(part: str, name: str, case: Case, kinds: tuple[str, ...], rounds: int) -> dict[str, float]:
    """Measure one case, print its rows; ratios rival / ours."""
    make, ways = {"linear": (Inputs, LINEAR_WAYS), "logits": (LogitsInputs, LOGITS_WAYS)}[part]
    print(f"\nfrom {'hidden states' if part == 'linear' else 'logits'}, {name}: {case}, CPU seconds (ratio to ours)")
    print(f"{'kind':>10}" + "".join(f"{way:>18}" for way in ways))
    inputs, first, ratios = make(case), make(replace(case, tokens=8)), {}
    for kind in kinds:
        measure_times(first, kind, ways_of(kind, ways, case), rounds=1)  # libraries set themselves up
        seconds = measure_times(inputs, kind, ways_of(kind, ways, case), rounds)
        row = f"{kind:>10}"
        for way in ways:
            if way in seconds:
                ratios[f"{part} {name} {kind} {way}"] = ratio = seconds[way] / seconds["ours"]
                row += f"{seconds[way]:>10.3f} ({ratio:>4.1f}x)"
            else:
                row += f"{'-':>18}"
        print(row, flush=True)
    return {key: round(ratio, 2) for key, ratio in ratios.items() if not key.endswith(" ours")}


def report_memory(cases: dict[str, tuple[str, Case]]) -> dict[str, dict[str, int]]:
    """Measure and print peak memory; from hidden states without the gradient of the head."""
    memory: dict[str, dict[str, int]] = {}
    print("\npeak memory in MB beyond inputs and the head's gradient")
    for name, (part, case) in cases.items():
        for kind in ("todi", "jsd"):
            ways = ("ours",) if "2048" in name else LINEAR_WAYS if part == "linear" else LOGITS_WAYS
            gradient = 4 * case.vocab * case.hidden / 1e6 if part == "linear" and not case.frozen else 0
            row = memory[f"{part} {name} {kind}"] = {
                way: round(peak_mb(part, way, kind, case) - gradient) for way in ways_of(kind, ways, case)
            }
            print(f"{part:>8} {name:<24} {kind:>6}  " + "  ".join(f"{way} {mb}" for way, mb in row.items()), flush=True)
    return memory


def main() -> None:
    """Measure, print tables, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small case of each part; promises are not checked")
    parser.add_argument("--rounds", type=int, default=3, help="timed runs of each way, taken in turn")
    parser.add_argument(
        "--part", choices=["linear", "logits", "errors", "memory"], action="append", help="default: all"
    )
    parser.add_argument("--measure-memory", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.measure_memory:
        part, way, kind, case = args.measure_memory
        print(measure_memory(part, way, kind, Case(**json.loads(case))))
        return
    keep_freed_memory()  # as in jobs; a peak would not be seen with it
    parts = args.part or ["linear", "logits", "errors", "memory"]
    if importlib.util.find_spec("liger_kernel") is None:
        print("liger: not installed")
    ratios, errors, memory = {}, {}, {}
    if "linear" in parts:
        for name, (case, kinds) in ({"quick": (QUICK, tuple(KINDS))} if args.quick else LINEAR).items():
            ratios |= report_times("linear", name, case, kinds, args.rounds)
    if "logits" in parts:
        for name, case in ({"quick": QUICK} if args.quick else LOGITS).items():
            ratios |= report_times("logits", name, case, tuple(KINDS), args.rounds)
    if "errors" in parts:
        errors = measure_errors(QUICK if args.quick else replace(LOGITS["152k"], tokens=32))
        print("\nerror of the gradient in float32 against float64")
        for kind, row in errors.items():
            print(f"{kind:>10}  " + "  ".join(f"{way} {error:.1e}" for way, error in row.items()))
    if "memory" in parts and Path("/proc/self/clear_refs").exists():
        cases = {
            "152k": ("linear", MEMORY),
            "152k, 2048 tokens": ("linear", LONG),
            "152k, frozen head": ("linear", replace(MEMORY, frozen=True)),
            "152k, given": ("logits", LOGITS["152k"]),
        }
        memory |= report_memory({"quick": ("linear", QUICK)} if args.quick else cases)
    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    print(
        json.dumps(
            {
                "benchmark": "token_divergences",
                "ratios": ratios,
                "memory_mb": memory,
                "gradient_errors": errors,
                "machine": machine,
            }
        )
    )
    missed = {key: ratios[key] for key, least in REQUIRED.items() if key in ratios and ratios[key] < least}
    working = {key: row["ours"] for key, row in memory.items() if key.startswith("linear") and row["ours"] > 200}
    if missed or working:
        raise SystemExit(f"slower than promised: {missed}; more than 200 MB: {working}; promised {REQUIRED}")


if __name__ == "__main__":
    main()
