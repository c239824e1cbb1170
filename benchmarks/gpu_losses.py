"""Parts ``fused`` and ``sparse`` of ``gpu.py``."""

import importlib.util
from dataclasses import replace
from functools import partial

import torch
from distribution_cache import Loss
from machine import measured
from token_divergences import BETA, Case, Inputs, published
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from pipestill.losses.linear import linear_divergence
from pipestill.losses.sparse import BucketTarget

CASE = Case(151_936, 2048, 8192, dtype="bfloat16")
TINY = Case(512, 32, 64, dtype="bfloat16")
WIDTHS = (2048, 4096)
CHUNK = 1024  # tokens, as Liger's chunked losses have it
WAYS = {"todi": ("published", "ours"), "jsd": ("published", "trl", "trl_chunked", "liger", "ours")}
SPARSE = ("fkl", "todi")
LOGITS_TOKENS = 2048  # logits of float32 and what is made of them take room


class Rivals(Inputs):
    """Inputs on a device, with the rivals that a GPU has."""

    def loss(self, way: str, kind: str) -> Tensor:
        """Loss of one way, a mean over tokens."""
        if way == "liger" and importlib.util.find_spec("liger_kernel") is not None:
            from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

            loss = LigerFusedLinearJSDLoss(beta=BETA[kind], compiled=self.hidden.is_cuda, chunk_size=CHUNK)
            return loss(self.hidden, self.student_head, self.teacher_hidden, self.teacher_head, self.labels)
        return self.chunked(kind) if way == "liger" else super().loss(way, kind)

    def chunked(self, kind: str) -> Tensor:
        """Liger's scheme: gradients of each chunk of tokens by ``torch.func`` in the forward pass, compiled on GPUs."""
        step = torch.func.grad_and_value(partial(_of_chunk, kind), argnums=(0, 1))
        step = torch.compile(step) if self.hidden.is_cuda else step
        by_hidden, by_head = torch.empty_like(self.hidden), torch.zeros_like(self.student_head)
        total = self.hidden.new_zeros((), dtype=torch.float32)
        hidden, head = self.hidden.detach(), self.student_head.detach()
        for start in range(0, len(hidden), CHUNK):
            rows = slice(start, start + CHUNK)
            teacher = linear(self.teacher_hidden[rows], self.teacher_head)
            (by_hidden[rows], part), value = step(hidden[rows], head, teacher, self.labels[rows])
            by_head, total = by_head + part, total + value
        tokens = len(hidden)
        return _Computed.apply(self.hidden, self.student_head, by_hidden / tokens, by_head / tokens, total / tokens)


def _of_chunk(kind: str, hidden: Tensor, head: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    student = linear(hidden, head)
    return 0.5 * cross_entropy(student.float(), labels, reduction="sum") + 0.5 * published(
        kind, student, teacher, labels
    )


class _Computed(torch.autograd.Function):
    """A value whose gradients are known."""

    @staticmethod
    def forward(ctx, hidden, head, by_hidden, by_head, value):
        ctx.save_for_backward(by_hidden, by_head)
        return value

    @staticmethod
    def backward(ctx, by_value):
        by_hidden, by_head = ctx.saved_tensors
        return by_hidden * by_value, by_head * by_value, None, None, None


def fused(report) -> None:
    """Loss and gradients from hidden states and heads."""
    print("  liger:", "installed" if importlib.util.find_spec("liger_kernel") else "not installed, reconstructed")
    for width in WIDTHS:
        case = replace(TINY, hidden=width // 64) if report.tiny else replace(CASE, hidden=width)
        inputs, floor = Rivals(case, report.device), f"hidden {width} products"
        report.add(floor, partial(measured, inputs.products, report.device, report.rounds))
        for kind, ways in WAYS.items():
            rows = {way: f"hidden {width} {kind} {way}" for way in ways}
            for way, name in rows.items():
                inputs.hidden.grad = inputs.student_head.grad = None
                report.add(name, partial(measured, partial(inputs.step, way, kind), report.device, report.rounds))
                report.divide(name, floor, "to_products")
            for name in rows.values():
                report.divide(name, rows["ours"], "to_ours")


def sparse(report) -> None:
    """The loss from 50 tokens of a teacher and a tail: from given logits, and from hidden states and the head."""
    case = TINY if report.tiny else CASE
    given = Loss(min(case.tokens, LOGITS_TOKENS), case.vocab, report.device)
    for kind in SPARSE:
        rows = {way: f"logits {kind} {way}" for way in ("densify", "ours")}
        for way, name in rows.items():
            given.student.data.copy_(given.given)
            report.add(name, partial(measured, partial(given.step, way, kind), report.device, report.rounds))
        report.divide(rows["densify"], rows["ours"], "to_ours")
    inputs, repeats = Inputs(case, report.device), case.tokens // len(given.ids)
    stored = [each.repeat(repeats, *[1] * (each.dim() - 1)) for each in (given.ids, given.log_probs, given.tail)]
    target, floor = BucketTarget(*stored), "products of the student"

    def step(kind: str) -> None:
        inputs.hidden.grad = inputs.student_head.grad = None
        linear_divergence(kind, inputs.hidden, inputs.student_head, inputs.labels, target).loss.backward()

    report.add(floor, partial(measured, partial(inputs.products, teacher=False), report.device, report.rounds))
    for kind in SPARSE:
        report.add(f"fused {kind}", partial(measured, partial(step, kind), report.device, report.rounds))
        report.divide(f"fused {kind}", floor, "to_products")
