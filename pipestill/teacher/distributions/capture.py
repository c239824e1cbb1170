"""Capturing one shard of a store; the same call resumes it after a kill, or with more rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipestill.errors import UserError
from pipestill.inference.answer_logits import AnswerLogits, batches, check_lengths
from pipestill.inference.loaded import load, prepare
from pipestill.io.files import sha256, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import Json, iterate_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress
from pipestill.job.row_log import state_of
from pipestill.job.state import read_state
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import reading_of
from pipestill.models.loading import load_tokenizer
from pipestill.models.prompts import word_ids
from pipestill.models.rows import Row, RowEncoder, read_answers, read_written, supervised
from pipestill.models.vocabulary import shared_vocabulary, vocabulary_size
from pipestill.settings.distributions import CaptureSettings
from pipestill.teacher.distributions.codecs import CODECS, Codec, describe, make_codec
from pipestill.teacher.distributions.contexts import read_in_context
from pipestill.teacher.distributions.keys import row_key, shard_of, teacher_fingerprint, vocabulary_digest
from pipestill.teacher.distributions.manifest import FORMAT
from pipestill.teacher.distributions.parts import Parts
from pipestill.teacher.distributions.shard import Row as Stored
from pipestill.teacher.distributions.shard import join
from pipestill.teacher.distributions.tails import NAME, TailSums, measured


@dataclass(frozen=True)
class Sources:
    """What distributions are captured from.

    Attributes:
        data: files of rows ``{"id", "input", "output"}``, or of a student's own answers.
        base: directory of the teacher's base model.
        teacher: directory of the fine-tuned teacher; none: the base model is taken as it is.
        student: directory of the student's base model, whose tokens the teacher reads.
    """

    data: Sequence[Path]
    base: Path
    teacher: Path | None
    student: Path


@dataclass(frozen=True)
class ShardFiles:
    """One of several shards, and where it is written.

    Attributes:
        index: of the shard, from 0.
        shards: how many there are.
        state: directory that keeps what is finished, for a killed job and for later rows; beside ``output``.
        output: ``.safetensors`` file to write.
        facts: JSON file to write about it.
        cost: JSON file to write: the cost of all attempts.
    """

    index: int
    shards: int
    state: Path
    output: Path
    facts: Path
    cost: Path


def capture_shard(settings: CaptureSettings, sources: Sources, shard: ShardFiles, threads: int) -> None:
    """Store what the teacher says about the answers of those rows that belong to one of several shards.

    Args:
        settings: codec, temperature, lengths, hardware.
        sources: rows and models.
        shard: which one, and its files.
        threads: torch threads.

    Raises:
        UserError: bad data, or tokenizers that differ.
    """
    plan = prepare(settings, threads)
    work = _Capture.read(settings, plan, sources)
    own = sorted(key for key in work.rows if shard_of(key, shard.shards) == shard.index)
    with exclusive(shard.state):
        kept = state_of(shard.state, work.fingerprint())
        parts = Parts(kept, work.codec.layout)
        tails = None
        if work.codec.has_tail:
            tails = TailSums(kept, measured(work.rows) & set(own), work.vocab_size)
        with CostMeter(kept / "cost.json") as cost:
            _complete(work, own, parts, tails, cost)
            digest = parts.publish(own, shard.output, {NAME: tails.values} if tails else {})
        own_facts = {
            "shard": shard.index,
            "shards": shard.shards,
            "rows": len(own),
            "tokens": sum(len(supervised(work.rows[key]["labels"])) for key in own),
            "bytes": shard.output.stat().st_size,
            "sha256": digest,
        }
        write_json(shard.facts, work.facts() | own_facts)
        cost.save()
        write_json(shard.cost, read_state(cost.ledger))


@dataclass(frozen=True)
class _Capture:
    """What is captured, the same for all shards.

    Attributes:
        settings: of the job.
        plan: for the teacher.
        sources: rows and models.
        student: tokenizer of the student.
        reader: tokenizer of the teacher.
        vocab_size: ids of the student's.
        teacher: fingerprint of the teacher.
        rows: all rows by key, as the student reads them, each with what the teacher reads (``read``); equal ones are
            there once.
    """

    settings: CaptureSettings
    plan: HardwarePlan
    sources: Sources
    student: Any
    reader: Any
    vocab_size: int
    codec: Codec
    teacher: str
    rows: Mapping[str, Row]

    @classmethod
    def read(cls, settings: CaptureSettings, plan: HardwarePlan, sources: Sources) -> Self:
        student, teacher = load_tokenizer(sources.student), load_tokenizer(sources.teacher or sources.base)
        context, own_tokens = settings.context, CODECS[settings.codec].own_tokens
        read_form = context.prompt.form if context else settings.form
        ours, theirs = (
            RowEncoder(tokenizer, settings.max_length, reading_of(directory), form)
            for tokenizer, directory, form in (
                (student, sources.student, settings.form),
                (teacher, sources.base, read_form),
            )
        )
        if not own_tokens:
            _check_same(ours, theirs, sources)
        fingerprint = teacher_fingerprint(sources.base, sources.teacher, plan)
        if settings.written:
            asked = {path: read_written(path, ours.reading) for path in sources.data}
        else:
            asked = {path: read_answers(path, ours) for path in sources.data}
        if context:
            read = read_in_context(sources.data, theirs, context)
        else:
            read = {path: read_answers(path, theirs) for path in sources.data} if own_tokens else asked
        rows = {}
        for path in sources.data:
            for row, other in zip(asked[path], read[path], strict=True):
                if not own_tokens and _answer(row) != _answer(other):
                    raise UserError(
                        f"{path}: the teacher's prompt has other words for the answer of {row['id']} than the "
                        "student's: give both the same `verbalizers`, or use `distributions.codec: labels`"
                    )
                key = row_key(row["input_ids"], row["labels"], fingerprint)
                rows[key] = row | {"key": key, "read": other}

        def words() -> tuple[list[int], ...]:
            row = next(iterate_jsonl(sources.data[0]))
            kinds = (
                (ours.tokenizer, settings.form, settings.labels, row["input"]),
                (theirs.tokenizer, read_form, settings.read_labels, row["question" if context else "input"]),
            )
            return tuple([ids[0] for ids in word_ids(*kind)] for kind in kinds)

        vocab_size = vocabulary_size(student)
        codec = make_codec(describe(settings, words), vocab_size)
        return cls(settings, plan, sources, student, theirs.tokenizer, vocab_size, codec, fingerprint, rows)

    def fingerprint(self) -> Json:
        """What defines the content of a row; the data are left out, so that later rows are added to earlier ones, but
        where they say which rows are read before others."""
        return {
            "code": self.settings.code,
            "codec": self.codec.description,
            "vocabulary": self.vocab_size,
            "temperature": self.settings.temperature,
            "teacher": self.teacher,
            "reader": vocabulary_digest(self.reader),
            "device": self.plan.device,
            "versions": versions(),
            **({"context": self.settings.context.model_dump(), "data": self._data()} if self.settings.context else {}),
        }

    def _data(self) -> list[Json]:
        return [{"file": Path(path).name, "sha256": sha256(path)} for path in self.sources.data]

    def facts(self) -> Json:
        """What all shards of a store have in common."""
        return {
            "format": FORMAT,
            "teacher": {
                "fingerprint": self.teacher,
                "precision": self.plan.precision,
                "quantization": self.plan.quantization,
            },
            "vocabulary": {"size": self.vocab_size, "sha256": vocabulary_digest(self.student)},
            "codec": self.codec.description,
            "temperature": self.settings.temperature,
            "max_length": self.settings.max_length,
            "form": self.settings.form.model_dump(),
            "data": self._data(),
            "versions": versions(),
        }


def _answer(row: Row) -> list[int]:
    """Supervised tokens of a row."""
    return [row["labels"][position] for position in supervised(row["labels"])]


def _check_same(ours: RowEncoder, theirs: RowEncoder, sources: Sources) -> None:
    """Refuse a teacher that reads other tokens than the student, or reads them in other ways."""
    shared_vocabulary(ours.tokenizer, theirs.tokenizer)
    if ours.reading != theirs.reading:
        raise UserError(
            f"{sources.base} and {sources.student} are not both causal models, both masked ones, or encoder-decoders "
            "that start alike: what one says cannot be stored for the other, but for labels (`codec: labels`)"
        )


def _complete(work: _Capture, own: Sequence[str], parts: Parts, tails: TailSums | None, cost: CostMeter) -> None:
    """Compute what is not there yet: rows whose tails are measured first, so that the sums are kept early."""
    first = sorted(tails.keys) if tails and not tails.done else []
    others = [key for key in own if key not in parts.places and key not in set(first)]
    if not first and not others:
        return
    model = load(work.sources.base, work.sources.teacher, work.plan).model
    check_lengths(model, [work.rows[key]["read"] for key in own])
    forward = AnswerLogits(model, work.reader.pad_token_id, vocabulary_size(work.reader))
    tokens = {key: len(supervised(work.rows[key]["labels"])) for key in own}
    waiting = sum(tokens[key] for key in (*first, *others))
    total = sum(tokens.values())
    progress = Progress(total, "tokens", "teacher: distributions", done=total - waiting)
    for keys in (first, others):
        for batch in batches([work.rows[key] for key in keys], work.plan.device):
            cost.tokens += sum(len(row["read"]["input_ids"]) for row in batch)
            for row in _encode(work, forward, batch, tails if keys is first else None):
                if parts.append(row):
                    cost.save()  # before what it paid for
                    parts.flush()
            progress.update(sum(tokens[row["key"]] for row in batch))
        cost.save()
        parts.flush()
        if keys is first and tails:
            tails.save()


def _encode(work: _Capture, forward: AnswerLogits, batch: Sequence[Row], tails: TailSums | None) -> Iterator[Stored]:
    """The arrays of each row of a batch."""
    import torch

    pieces: list[list[Mapping[str, np.ndarray]]] = [[] for _ in batch]
    for index, start, logits in forward([row["read"] for row in batch]):
        row, read = batch[index], batch[index]["read"]
        log_probs = (logits / work.settings.temperature).log_softmax(1)
        positions = supervised(read["labels"])[start : start + len(logits)]
        gold = torch.tensor([read["labels"][position] for position in positions], device=logits.device)
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
        whole = join(found)
        if row["read"]["labels"] != row["labels"]:  # other tokens: what they have together stands at the first
            gold = np.zeros(len(supervised(row["labels"])), "f4")
            gold[0] = whole["gold"].sum()
            whole |= {"gold": gold}
        yield {**whole, "keys": np.frombuffer(bytes.fromhex(row["key"]), "u1")[None]}
