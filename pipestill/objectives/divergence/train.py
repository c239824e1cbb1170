"""Training with a teacher: (1 - kd_rate) cross-entropy + kd_rate divergence from its distributions."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear

from pipestill.errors import UserError
from pipestill.job.halves import half
from pipestill.losses import IGNORED
from pipestill.losses.classes import likeliest
from pipestill.losses.linear import LinearLoss, linear_divergence
from pipestill.models.heads import hidden_states, predicted
from pipestill.models.rows import Row, collate
from pipestill.objectives.cross_entropy.train import CrossEntropyTrainer
from pipestill.objectives.cross_entropy.train import read as read_gold
from pipestill.objectives.divergence import Divergence, DivergenceOptions
from pipestill.objectives.divergence.make_teacher import make_teacher
from pipestill.objectives.divergence.teachers import Teacher
from pipestill.training.arguments import trainer_arguments
from pipestill.training.job import Data, Job
from pipestill.training.resumable import Batch


@dataclass(frozen=True)
class TaughtData(Data):
    """Rows that the teacher has prepared, the teacher, and answers of the student's own where it wrote some before."""

    teacher: Teacher
    own: Any = None


def read(objective: Divergence, job: Job) -> TaughtData:
    """Prompts and answers, and the teacher, which is loaded before the student.

    Raises:
        UserError: no teacher stands beside a student that learns from answers of its own.
    """
    try:
        if objective.on_policy(job.options):
            objective.check_on_policy(job.options, job.reading.kind, job.divided)
    except ValueError as error:
        raise UserError(f"`{job.settings.method}` learns from answers of its own: {error}") from None
    data, teacher = read_gold(objective, job), make_teacher(objective, job)
    rows = teacher.prepare(data.rows, job.inputs.data)
    held_out = teacher.prepare(data.validation, job.inputs.validation)
    own = half(objective, "rounds").read(objective, job, rows) if objective.rounds(job.options) else None
    return TaughtData(rows, held_out, teacher, own)


def trainer(objective: Divergence, job: Job, model: Any, data: TaughtData) -> "DivergenceTrainer":
    """The trainer of a job."""
    collator = partial(_collate, pad_token_id=job.tokenizer.pad_token_id, teacher=data.teacher)
    arguments = trainer_arguments(job, model, data) | {"data_collator": collator}
    made = {"objective": objective, "options": job.options, "teacher": data.teacher}
    own = objective.on_policy(job.options)
    if own is None:
        return DivergenceTrainer(**made, **arguments)
    if data.own:
        return half(objective, "rounds").trainer(data.own, job, **made, **arguments)
    return half(objective, "on_policy").trainer(own, job, **made, **arguments)


def _collate(rows: list[Row], pad_token_id: int, teacher: Teacher) -> dict[str, Any]:
    """A padded batch, with what the teacher needs to know of it."""
    return collate(rows, pad_token_id) | teacher.columns(rows)


class DivergenceTrainer(CrossEntropyTrainer):
    """Trains on a divergence from the teacher, from hidden states and head: logits exist for a chunk of tokens only.

    Args:
        objective: which divergence.
        options: its settings.
        teacher: where the distributions come from.
        arguments: of :class:`~pipestill.training.resumable.ResumableTrainer`.

    Raises:
        UserError: the student's logits are more than a linear map of its hidden states.
    """

    def __init__(self, objective: Divergence, options: DivergenceOptions, teacher: Teacher, **arguments: Any):
        super().__init__(**arguments)
        self._means = self._nothing()  # of cross-entropy and divergence, over the step so far
        self.kind, self.teacher = objective.kind, teacher
        if self.head is None:
            raise UserError(
                "the student's logits are more than a linear map of its last hidden states (they are capped or scaled, "
                "or the head has an adapter), which divergences do not provide for: use another student, or `kd`"
            )
        self.options = objective.own(options) | {"temperature": options.temperature, "t_squared": options.t_squared}
        self.kd_rate, self.chunk = options.kd_rate, options.chunk

    def losses(self, model: torch.nn.Module, batch: Batch, kd_rate: float) -> LinearLoss:
        """See :func:`pipestill.losses.linear.linear_divergence`."""
        target = self.teacher_of(batch).target(batch)
        with self.accelerator.autocast():
            return linear_divergence(
                self.kind,
                hidden_states(model, batch),
                self.head.weight,
                predicted(batch["labels"]),
                target,
                vocab_size=self.teacher.vocabulary,
                kd_rate=kd_rate,
                bias=self.head.bias,
                chunk=self.chunk,
                **self.options,
            )

    def teacher_of(self, batch: Batch) -> Teacher:
        """Who tells the distributions of a batch."""
        return self.teacher

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """The mixed loss."""
        return self.losses(model, batch, self.kd_rate).loss

    def contribution(self, model: torch.nn.Module, batch: Batch, items: int) -> torch.Tensor:
        """The batch's share of the mean; its parts are kept for the log."""
        return self.counted(model, batch, items, self.kd_rate).loss / items

    def counted(self, model: torch.nn.Module, batch: Batch, items: int, kd_rate: float) -> LinearLoss:
        """The losses of a batch, added to those of its step, which has ``items``."""
        losses = self.losses(model, batch, kd_rate)
        self._means = self._means + torch.stack([losses.cross_entropy, losses.divergence]).detach() / items
        return losses

    def evaluation_sums(self, batch: Batch) -> dict[str, float]:
        """The loss and its parts, KL(teacher, student) at the same temperature, and how often both agree on the best.

        All from one pass over the logits, chunk by chunk. A teacher with other tokens has neither of the last two.
        """
        target, labels = self.teacher.target(batch), predicted(batch["labels"])
        best, yardstick = self.teacher.top_ids(batch, target), self.teacher.yardstick(batch, target)
        sums = Counter()
        size, bias = self.teacher.vocabulary, self.head.bias
        weight, bias = self.head.weight[:size], None if bias is None else bias[:size]
        with self.accelerator.autocast():
            hidden = hidden_states(self.model, batch)
            for start in range(0, len(labels), self.chunk):
                rows = slice(start, min(start + self.chunk, len(labels)))
                logits = linear(hidden[rows], weight, bias).float()
                sums["cross_entropy"] += float(cross_entropy(logits, labels[rows], reduction="sum"))
                if best is not None:
                    sums["agreement"] += int((likeliest(logits, self.teacher.over) == best[rows]).sum())
                    sums["compared"] += int((best[rows] != IGNORED).sum())
                    temperature = self.options["temperature"]
                    kl, _ = yardstick.loss_and_gradient("fkl", logits.clone(), rows, temperature=temperature)
                    sums["kl"] += float(kl.sum())
                divergence, _ = target.loss_and_gradient(self.kind, logits, rows, **self.options)
                sums["divergence"] += float(divergence.sum())
        loss = (1 - self.kd_rate) * sums["cross_entropy"] + self.kd_rate * sums["divergence"]
        return {"loss": loss} | sums

    def evaluation_means(self, sums: dict[str, float], items: int) -> dict[str, float]:
        """KL and agreement are means over the tokens that the teacher says something about."""
        compared = sums.get("compared", 0)
        means = super().evaluation_means({name: total for name, total in sums.items() if name != "compared"}, items)
        return means | {name: sums[name] / compared for name in ("kl", "agreement") if compared}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss of a step."""
        if "loss" in logs:
            logs = logs | self.step_parts()
        super().log(logs, start_time)

    def step_parts(self) -> dict[str, float]:
        """The parts of the loss of the step that ends."""
        cross_entropy, divergence = self._means.tolist()
        self._means = self._nothing()
        return {"cross_entropy": cross_entropy, "divergence": divergence}

    def _nothing(self) -> torch.Tensor:
        return torch.zeros(2, device=self.args.device)
