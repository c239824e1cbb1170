"""How near gradients from stored distributions come to exact ones: angle and length on validation tokens."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipestill.inference.answer_logits import AnswerLogits
from pipestill.inference.devices import input_device
from pipestill.inference.loaded import Loaded, load, prepare
from pipestill.io.files import write_json
from pipestill.losses.targets import LogitsTarget, Target
from pipestill.models.heads import hidden_states
from pipestill.models.kinds import reading
from pipestill.models.rows import Row, collate, read_answers, supervised
from pipestill.settings.distributions import FidelitySettings
from pipestill.teacher.distributions.capture import Sources
from pipestill.teacher.distributions.keys import teacher_fingerprint
from pipestill.teacher.distributions.store import DistributionStore

SLICE = 8192  # ids whose gradients are held in double precision at a time


def measure_fidelity(settings: FidelitySettings, manifest: Path, sources: Sources, output: Path, threads: int) -> None:
    """Compare, for each divergence, the gradients of the student's head from the store and from the teacher.

    Args:
        settings: the study's divergences, and how many tokens are compared on.
        manifest: of the store.
        sources: models, and files whose rows the store holds.
        output: JSON file to write.
        threads: torch threads.

    Raises:
        UserError: the store is damaged, or of another teacher or tokenizer.
    """
    plan = prepare(settings, threads)
    store = DistributionStore(manifest)
    student = load(sources.student, None, plan)
    # The store may come from a machine with another number format; what counts here is that the teacher is the same.
    formats = {name: store.manifest["teacher"][name] for name in ("precision", "quantization")}
    fingerprint = teacher_fingerprint(sources.base, sources.teacher, replace(plan, **formats))
    store.check(tokenizer=student.tokenizer, teacher_fingerprint=fingerprint)
    encoder = store.encoder(student.tokenizer, reading(student.model.config))
    rows = _choose([row for path in sources.data for row in read_answers(path, encoder)], store, settings.tokens)
    hidden, logits = (torch.cat(parts) for parts in zip(*_read(student, store, rows), strict=True))
    del student
    teacher = load(sources.base, sources.teacher, plan)
    exact = torch.cat([teacher_logits for _, teacher_logits in _read(teacher, store, rows)])
    keys = [store.key(row) for row in rows]
    methods = {}
    for method, compared in settings.methods.items():
        kind, options = compared.kind, {**compared.options, "temperature": store.temperature}
        tail = compared.tail if store.codec.has_tail else None
        stored = store.target(keys, tail or "bucket", logits.device)
        angle, ratio = compare(
            hidden, _gradient(kind, logits, stored, options), _gradient(kind, logits, LogitsTarget(exact), options)
        )
        methods[method] = {"tail": tail, "angle": round(angle, 2), "norm_ratio": round(ratio, 3)}
    write_json(
        output,
        {
            "study": settings.study,
            "codec": store.codec.description["name"],
            "bytes_per_token": store.manifest["bytes_per_token"],
            "tokens": len(hidden),
            "methods": methods,
        },
    )


def compare(hidden: Tensor, stored: Tensor, exact: Tensor) -> tuple[float, float]:
    """Angle in degrees, and ratio of lengths, between two gradients of a head [vocab, hidden].

    The products of head gradients G'H are had from inner products of tokens, so that no head is held:
    <A'H, B'H> = sum over tokens s, t of <a_s, b_t> <h_s, h_t>.

    Args:
        hidden: H, [tokens, hidden].
        stored: gradient by the logits [tokens, vocab] from stored distributions.
        exact: the exact one.
    """
    states = hidden.double() @ hidden.double().T
    across = stored_only = exact_only = 0.0
    for start in range(0, stored.shape[1], SLICE):
        a, b = (gradient[:, start : start + SLICE].double() for gradient in (stored, exact))
        across += float((states * (a @ b.T)).sum())
        stored_only += float((states * (a @ a.T)).sum())
        exact_only += float((states * (b @ b.T)).sum())
    lengths = math.sqrt(stored_only), math.sqrt(exact_only)
    tiny = sys.float_info.min  # a student that equals its teacher has no gradient
    cosine = across / max(tiny, lengths[0] * lengths[1])
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine)))), lengths[0] / max(tiny, lengths[1])


def _choose(rows: Sequence[Row], store: DistributionStore, tokens: int) -> list[Row]:
    """Rows with about ``tokens`` supervised tokens: those with the lowest keys, which are a random choice."""
    chosen, found = [], 0
    for row in sorted({store.key(row): row for row in rows}.items()):
        if found < tokens:
            chosen.append(row[1])
            found += len(supervised(row[1]["labels"]))
    return chosen


def _read(loaded: Loaded, store: DistributionStore, rows: Sequence[Row]) -> Iterator[tuple[Tensor, Tensor]]:
    """Hidden states and logits of each row."""
    model = loaded.model
    forward = AnswerLogits(model, loaded.tokenizer.pad_token_id, store.vocab_size)
    for row in rows:
        batch = {name: values.to(input_device(model)) for name, values in collate([row], 0).items()}
        with torch.no_grad():
            yield hidden_states(model, batch), torch.cat([logits for _, _, logits in forward([row])])


def _gradient(kind: str, logits: Tensor, target: Target, options: Mapping[str, Any]) -> Tensor:
    return target.loss_and_gradient(kind, logits.clone(), slice(0, len(logits)), t_squared=False, **options)[1]
