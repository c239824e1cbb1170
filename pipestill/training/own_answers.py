"""The job in which a student answers the prompts of its training rows, before a part of its training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill.inference.generation import BATCH_TOKENS, length_sorted_batches, text_of
from pipestill.io.files import SHA256SUMS, sha256, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import Json, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress
from pipestill.job.row_log import RowLog, state_of
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.kinds import reading_of
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import PLACE, Row, RowEncoder, placed, prompt_of, read_answers, row_length, written_row
from pipestill.models.vocabulary import vocabulary_size
from pipestill.objectives.divergence.own_answers import OwnAnswers
from pipestill.settings.jobs import OwnAnswersSettings
from pipestill.settings.on_policy import OnPolicy
from pipestill.settings.training import TrainingConfig
from pipestill.training.drawing import Drawing
from pipestill.training.sampler import LengthGroupedBatches
from pipestill.training.start import load_student
from pipestill.training.state import left_by
from pipestill.training.steps import end_of_part, rows_of, steps_of
from pipestill.training.weights import WEIGHTS, put_weights


@dataclass(frozen=True)
class Student:
    """A student, somewhere in its training.

    Attributes:
        base: directory of its base model.
        init: model directory of the SFT student that its training starts from, if it does.
        before: what the job before left, of the part of its training before; none before the first.
        seed: of its training.
    """

    base: Path
    init: Path | None
    before: Path | None
    seed: int

    def load(self, training: TrainingConfig, plan: HardwarePlan) -> Any:
        """The model, in eval mode."""
        model = load_student(self.base, self.init, training.adaptation, training.lora, plan, self.seed)
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
    """Write an answer to the prompt of each row that a step of the next part of the training may learn from, in their
    order: see :func:`~pipestill.models.rows.written_row`. What is drawn for a row depends on seed, step and row alone.

    Args:
        settings: how it is loaded and asked.
        student: that answers.
        places: where.
        threads: torch threads.

    Raises:
        UserError: bad data, a model that does not fit, or more parts than steps.
    """
    plan = plan_here(settings.hardware, settings.training.adaptation, threads)
    apply(plan)
    tokenizer = load_tokenizer(student.base)
    encoder = RowEncoder(tokenizer, settings.training.max_length, reading_of(student.base), settings.form)
    rows = placed(read_answers(places.data, encoder))
    of_run = settings.training.max_length, student.seed, vocabulary_size(tokenizer)
    drawing = Drawing(settings.sampling, rows, *of_run)
    first, wanted = _asked(settings, rows, student.seed)
    # In the batches that one call would make of all of them: a job that goes on gives the same bits.
    lengths = [len(prompt_of(row)) for row in wanted]
    batches = [
        [wanted[index] for index in batch] for batch in length_sorted_batches(lengths, drawing.limit, BATCH_TOKENS)
    ]
    with exclusive(places.state):
        kept = state_of(places.state, _fingerprint(settings, student, places.data, plan))
        with CostMeter(kept / "cost.json") as cost:
            log = RowLog(kept / "answers.jsonl", fields=["answer"])
            missing = [batch for batch in batches if any(str(row[PLACE]) not in log.rows for row in batch)]
            model = student.load(settings.training, plan) if missing else None
            done = len(wanted) - sum(map(len, missing))
            progress = Progress(len(wanted), "answers", "student: own answers", done=done)
            for batch in missing:
                with _computing(plan):
                    found = drawing.answers(model, batch, first)
                cost.tokens += sum(len(prompt_of(rows[place])) + len(answer) for place, answer in found)
                cost.save()  # before what it paid for
                log.append((str(place), {"answer": answer}) for place, answer in found)
                progress.update(len(found))
        answers = [log.rows[str(row[PLACE])]["answer"] for row in wanted]
        pairs = zip(wanted, answers, strict=True)
        write_jsonl(places.output, (written_row(row, answer, text_of(tokenizer, answer)) for row, answer in pairs))
        write_json(places.cost, cost.total())


def _asked(settings: OwnAnswersSettings, rows: list[Row], seed: int) -> tuple[int, list[Row]]:
    """The first step of the part, and the rows that its steps of own answers learn from."""
    training = settings.training
    batches = LengthGroupedBatches(list(map(row_length, rows)), training.batch_size, seed)
    steps = steps_of(training, batches)
    first, end = (end_of_part(steps, part, settings.parts) for part in (settings.part - 1, settings.part))
    own = OwnAnswers(OnPolicy(share=settings.share), seed)
    learning = rows_of(batches, training.accumulation_steps, range(first, end))
    wanted = {place for step, places in learning if own.source(step, steps) != "rows" for place in places}
    return first, [rows[place] for place in sorted(wanted)]


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
