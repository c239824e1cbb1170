"""Capturing one shard of a store; killed at any time, or called again with more rows, the same call goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.inference.answer_logits import AnswerLogits, batches, check_lengths
from pipestill.inference.scoring import load_run
from pipestill.io.files import read_json, sha256, write_json
from pipestill.io.lock import exclusive
from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress
from pipestill.job.row_log import state_of
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.kinds import decoder_start
from pipestill.models.loading import load_tokenizer
from pipestill.models.prompts import encode_label
from pipestill.models.rows import Row, read_answers, supervised
from pipestill.models.vocabulary import shared_vocabulary
from pipestill.settings.distributions import OPTIONS, CaptureSettings
from pipestill.teacher.distributions.codecs import Codec, make_codec
from pipestill.teacher.distributions.keys import row_key, shard_of, teacher_fingerprint, vocabulary_digest
from pipestill.teacher.distributions.manifest import FORMAT
from pipestill.teacher.distributions.parts import Parts
from pipestill.teacher.distributions.shard import Row as Stored
from pipestill.teacher.distributions.shard import join
from pipestill.teacher.distributions.tails import NAME, TailSums, measured


def capture_shard(
    settings: CaptureSettings,
    data: Sequence[Path],
    base: Path,
    teacher: Path | None,
    student: Path,
    shard: int,
    shards: int,
    state: Path,
    output: Path,
    facts: Path,
    cost_file: Path,
    threads: int,
) -> None:
    """Store what the teacher says about the answers of those rows that belong to one of several shards.

    Args:
        settings: codec, temperature, lengths, hardware.
        data: training and validation files in the schema ``{"id", "input", "output"}``.
        base: directory of the teacher's base model.
        teacher: directory of the fine-tuned teacher; none: the base model is taken as it is.
        student: directory of the student's base model, whose tokens the teacher reads.
        shard: index of the shard.
        shards: how many there are.
        state: directory that keeps what is finished, for a killed job and for later rows; beside ``output``.
        output: ``.safetensors`` file to write.
        facts: JSON file to write about it.
        cost_file: JSON file for the cost of all attempts.
        threads: torch threads.

    Raises:
        UserError: bad data, or tokenizers that differ.
    """
    plan = plan_here(settings.hardware, settings.adaptation, threads)
    apply(plan)
    work = _Work.read(settings, plan, data, base, teacher, student)
    own = sorted(key for key in work.rows if shard_of(key, shards) == shard)
    with exclusive(state):
        kept = state_of(state, work.fingerprint())
        cost = CostMeter(kept / "cost.json")
        parts = Parts(kept, work.codec.layout)
        tails = None
        if work.codec.has_tail:
            tails = TailSums(kept, measured(work.rows) & set(own), work.vocab_size)
        _complete(work, own, base, teacher, parts, tails, cost)
        digest = parts.publish(own, output, {NAME: tails.values} if tails else {})
        own_facts = {
            "shard": shard,
            "shards": shards,
            "rows": len(own),
            "tokens": sum(len(supervised(work.rows[key]["labels"])) for key in own),
            "bytes": output.stat().st_size,
            "sha256": digest,
        }
        write_json(facts, work.facts(data) | own_facts)
        cost.save()
        write_json(cost_file, read_json(cost.ledger))


@dataclass(frozen=True)
class _Work:
    """What is captured, the same for all shards.

    Attributes:
        tokenizer: the student's, which is the teacher's too.
        vocab_size: its ids.
        teacher: fingerprint of the teacher.
        rows: all rows by key; equal ones are there once.
    """

    settings: CaptureSettings
    plan: HardwarePlan
    tokenizer: Any
    vocab_size: int
    codec: Codec
    teacher: str
    rows: Mapping[str, Row]

    @classmethod
    def read(cls, settings, plan, data, base, teacher, student) -> "_Work":
        tokenizer = load_tokenizer(student)
        vocab_size = shared_vocabulary(tokenizer, load_tokenizer(teacher or base))
        description: dict[str, Any] = {"name": settings.codec}
        if option := OPTIONS[settings.codec]:
            description[option] = getattr(settings, option)
        if settings.codec == "labels":
            description["ids"] = [encode_label(tokenizer, label)[0] for label in settings.labels]
        fingerprint = teacher_fingerprint(base, teacher, plan)
        start = decoder_start(base)
        if start != decoder_start(student):
            raise UserError(
                f"{base} and {student} are not both causal models, or encoder-decoders that start alike: what one "
                "says cannot be stored for the other"
            )
        rows = {}
        for path in data:
            for row in read_answers(path, tokenizer, settings.max_length, start):
                key = row_key(row["input_ids"], row["labels"], fingerprint)
                rows[key] = row | {"key": key}
        codec = make_codec(description, vocab_size)
        return cls(settings, plan, tokenizer, vocab_size, codec, fingerprint, rows)

    def fingerprint(self) -> dict[str, Any]:
        """What defines the content of a row; the data are left out, so that later rows are added to earlier ones."""
        return {
            "code": self.settings.code,
            "codec": self.codec.description,
            "vocabulary": self.vocab_size,
            "temperature": self.settings.temperature,
            "teacher": self.teacher,
            "device": self.plan.device,
            "versions": versions(),
        }

    def facts(self, data: Sequence[Path]) -> dict[str, Any]:
        """What all shards of a store have in common."""
        return {
            "format": FORMAT,
            "teacher": {
                "fingerprint": self.teacher,
                "precision": self.plan.precision,
                "quantization": self.plan.quantization,
            },
            "vocabulary": {"size": self.vocab_size, "sha256": vocabulary_digest(self.tokenizer)},
            "codec": self.codec.description,
            "temperature": self.settings.temperature,
            "max_length": self.settings.max_length,
            "data": [{"file": Path(path).name, "sha256": sha256(path)} for path in data],
            "versions": versions(),
        }


def _complete(
    work: _Work,
    own: Sequence[str],
    base: Path,
    teacher: Path | None,
    parts: Parts,
    tails: TailSums | None,
    cost: CostMeter,
) -> None:
    """Compute what is not there yet: rows whose tails are measured first, so that the sums are kept early."""
    first = sorted(tails.keys) if tails and not tails.done else []
    others = [key for key in own if key not in parts.places and key not in set(first)]
    if not first and not others:
        return
    model = load_run(base, teacher, work.plan)[0]
    check_lengths(model, [work.rows[key] for key in own])
    forward = AnswerLogits(model, work.tokenizer.pad_token_id, work.vocab_size)
    tokens = {key: len(supervised(work.rows[key]["labels"])) for key in own}
    waiting = sum(tokens[key] for key in (*first, *others))
    total = sum(tokens.values())
    progress = Progress(total, "tokens", "teacher: distributions", done=total - waiting)
    for keys in (first, others):
        for batch in batches([work.rows[key] for key in keys], work.plan.device):
            for row in _encode(work, forward, batch, tails if keys is first else None):
                if parts.append(row):
                    cost.save()
            cost.tokens += sum(len(row["input_ids"]) for row in batch)
            progress.update(sum(tokens[row["key"]] for row in batch))
        parts.flush()
        if keys is first and tails:
            tails.save()


def _encode(work: _Work, forward: AnswerLogits, batch: Sequence[Row], tails: TailSums | None) -> Iterator[Stored]:
    """The arrays of each row of a batch."""
    import torch

    pieces: list[list[Mapping[str, np.ndarray]]] = [[] for _ in batch]
    for index, start, logits in forward(batch):
        row = batch[index]
        log_probs = (logits / work.settings.temperature).log_softmax(1)
        positions = supervised(row["labels"])[start : start + len(logits)]
        gold = torch.tensor([row["labels"][position] for position in positions], device=logits.device)
        # The answer's own log-probability is asked of the teacher as it is, without the study's temperature.
        exact = (logits.gather(1, gold[:, None])[:, 0] - logits.logsumexp(1)).cpu().numpy()
        if np.isnan(exact).any():
            raise UserError(
                f"the teacher's probabilities for row {row['id']!r} are not numbers: its weights are broken, or "
                f"{work.plan.precision} is too narrow for it; try `hardware.precision: fp32`"
            )
        pieces[index].append({**work.codec.encode(log_probs, row["key"], start), "gold": exact})
        if tails:
            tails.values += work.codec.tail_sums(log_probs)
    for row, found in zip(batch, pieces, strict=True):
        yield {**join(found), "keys": np.frombuffer(bytes.fromhex(row["key"]), "u1")[None]}
