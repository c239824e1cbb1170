"""The job in which a student answers the prompts of its training rows, before a part of its training."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipestill.inference.generation import BATCH_TOKENS, length_sorted_batches, text_of
from pipestill.inference.loaded import prepare
from pipestill.io.files import SHA256SUMS, sha256, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import Json, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress
from pipestill.job.row_log import RowLog, state_of
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import reading_of
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import RowEncoder, prompt_of, read_answers, written_row
from pipestill.models.vocabulary import vocabulary_size
from pipestill.settings.jobs import OwnAnswersSettings
from pipestill.settings.training import LoraConfig
from pipestill.training.drawing import PLACE, Drawing, placed
from pipestill.training.start import load_student
from pipestill.training.state import left_by, progress_of
from pipestill.training.weights import WEIGHTS, put_weights


@dataclass(frozen=True)
class Student:
    """A student, somewhere in its training.

    Attributes:
        base: directory of its base model.
        init: model directory of the SFT student that its training starts from, if it does.
        before: what the last job of its training left; none before the first.
        seed: of its training.
    """

    base: Path
    init: Path | None
    before: Path | None
    seed: int

    @property
    def step(self) -> int:
        """Steps that it has made."""
        return progress_of(left_by(self.before))[0] if self.before else 0

    def load(self, settings: OwnAnswersSettings, plan: HardwarePlan) -> Any:
        """The model, in eval mode."""
        adapters = settings.lora or LoraConfig()
        model = load_student(self.base, self.init, settings.adaptation, adapters, plan, self.seed)
        if self.before:
            from safetensors.torch import load_file

            put_weights(model, load_file(left_by(self.before) / WEIGHTS))
        return model.eval()


@dataclass(frozen=True)
class Places:
    """Where the job reads and writes.

    Attributes:
        data: the training file, rows ``{"id", "input", "output"}``.
        state: directory that keeps finished answers from one attempt to the next.
        output: JSON Lines file to write.
        cost: JSON file to write: the cost of all attempts.
    """

    data: Path
    state: Path
    output: Path
    cost: Path


def write_own_answers(settings: OwnAnswersSettings, student: Student, places: Places, threads: int) -> None:
    """Write an answer to the prompt of each row, in their order: ``{"id", "prompt", "answer", "text"}``, tokens and,
    for whoever looks at it, the answer's text. What is drawn for a row depends on seed, step and row alone.

    Args:
        settings: how it is loaded and asked.
        student: that answers.
        places: where.
        threads: torch threads.

    Raises:
        UserError: bad data, or a model that does not fit.
    """
    plan = prepare(settings, threads)
    tokenizer = load_tokenizer(student.base)
    encoder = RowEncoder(tokenizer, settings.max_length, reading_of(student.base), settings.form)
    rows = placed(read_answers(places.data, encoder))
    drawing = Drawing(settings.sampling, rows, settings.max_length, student.seed, vocabulary_size(tokenizer))
    # In the batches that one call would make of all of them: a job that goes on gives the same bits.
    batches = length_sorted_batches([len(prompt_of(row)) for row in rows], drawing.limit, BATCH_TOKENS)
    with exclusive(places.state):
        kept = state_of(places.state, _fingerprint(settings, student, places.data, plan))
        with CostMeter(kept / "cost.json") as cost:
            log = RowLog(kept / "answers.jsonl", fields=["answer"])
            missing = [batch for batch in batches if any(str(place) not in log.rows for place in batch)]
            model = student.load(settings, plan) if missing else None
            done = len(rows) - sum(map(len, missing))
            progress = Progress(len(rows), "answers", "student: own answers", done=done)
            for batch in missing:
                with _computing(plan):
                    found = drawing.answers(model, [rows[place] for place in batch], student.step)
                cost.tokens += sum(len(prompt_of(rows[place])) + len(answer) for place, answer in found)
                cost.save()  # before what it paid for
                log.append((str(place), {"answer": answer}) for place, answer in found)
                progress.update(len(found))
        text = partial(text_of, tokenizer)
        write_jsonl(places.output, (_written(row, log.rows, text) for row in rows))
        write_json(places.cost, cost.total())


def _written(row: Mapping[str, Any], found: Mapping[str, Json], text: Any) -> Json:
    answer = found[str(row[PLACE])]["answer"]
    return written_row(row, answer) | {"text": text(answer)}


def _computing(plan: HardwarePlan) -> Any:
    """Inside, the number format is that of the training."""
    import torch

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(plan.precision)
    return torch.autocast(plan.device, dtype=dtype, enabled=dtype is not None)


def _fingerprint(settings: OwnAnswersSettings, student: Student, data: Path, plan: HardwarePlan) -> Json:
    models = [each for each in (student.base, student.init, student.before) if each]
    return {
        "settings": settings.model_dump(),
        "seed": student.seed,
        "hardware": [plan.device, plan.precision, plan.weights, plan.quantization],
        "data": sha256(data),
        "models": [sha256(model / SHA256SUMS) for model in models],
        "versions": versions(),
    }
