"""Divergences from a teacher at each token of an answer."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear

from pipestill.config import DivergenceConfig
from pipestill.divergence_kinds import options_of
from pipestill.errors import UserError
from pipestill.models.heads import hidden_states, linear_head, predicted
from pipestill.models.rows import IGNORED
from pipestill.objectives.backends import choose_backend
from pipestill.objectives.linear import LinearLoss, linear_divergence
from pipestill.training.distillation import DistillationTrainer
from pipestill.training.resumable import Batch
from pipestill.training.teachers import Teacher


class DivergenceTrainer(DistillationTrainer):
    """Trains on a divergence from the teacher, from hidden states and head: logits exist for a chunk of tokens only.

    Args:
        kind: a key of :data:`pipestill.divergence_kinds.KINDS`, or ``uld`` where the teacher has other tokens.
        settings: of the divergence.
        teacher: where the distributions come from.
        arguments: of :class:`~pipestill.training.resumable.ResumableTrainer`.

    Raises:
        UserError: the student's logits are more than a linear map of its hidden states.
    """

    def __init__(self, kind: str, settings: DivergenceConfig, teacher: Teacher, **arguments: Any):
        super().__init__(**arguments)
        self.kind, self.teacher = kind, teacher
        self.head = linear_head(self.model)
        if self.head is None:
            raise UserError(
                "the student's logits are more than a linear map of its last hidden states (they are capped or scaled, "
                "or the head has an adapter), which divergences do not provide for: use another student, or `kd`"
            )
        given = {name: getattr(settings, name) for name in options_of(kind)}
        self.options = {name: value for name, value in given.items() if value is not None}
        self.options |= {"temperature": settings.temperature, "t_squared": settings.t_squared}
        self.kd_rate, self.chunk = settings.kd_rate, settings.chunk
        self.backend = choose_backend(self._tokens() * teacher.vocabulary, self.head.weight.device, settings.backend)

    def parts(self, model: torch.nn.Module, batch: Batch) -> LinearLoss:
        """See :func:`pipestill.objectives.linear.linear_divergence`."""
        target = self.teacher.target(batch)
        with self.accelerator.autocast():
            return linear_divergence(
                self.kind,
                hidden_states(model, batch),
                self.head.weight,
                predicted(batch["labels"]),
                target,
                vocab_size=self.teacher.vocabulary,
                kd_rate=self.kd_rate,
                bias=self.head.bias,
                chunk=self.chunk,
                backend=self.backend,
                **self.options,
            )

    def evaluation_sums(self, batch: Batch) -> dict[str, float]:
        """The loss and its parts, KL(teacher, student) at the same temperature, and how often both agree on the best.

        All from one pass over the logits, chunk by chunk. A teacher with other tokens has neither of the last two.
        """
        target, labels = self.teacher.target(batch), predicted(batch["labels"])
        best = self.teacher.top_ids(batch, target)
        sums = dict.fromkeys(("cross_entropy", "divergence", *(() if best is None else ("kl", "agreement"))), 0.0)
        head = (
            None if each is None else each[: self.teacher.vocabulary] for each in (self.head.weight, self.head.bias)
        )
        weight, bias = head
        with self.accelerator.autocast():
            hidden = hidden_states(self.model, batch)
            for start in range(0, len(labels), self.chunk):
                rows = slice(start, min(start + self.chunk, len(labels)))
                logits = linear(hidden[rows], weight, bias).float()
                sums["cross_entropy"] += float(cross_entropy(logits, labels[rows], reduction="sum"))
                if best is not None:
                    sums["agreement"] += int((logits.argmax(-1) == best[rows]).sum())
                    temperature = self.options["temperature"]
                    kl, _ = target.loss_and_gradient("fkl", logits.clone(), rows, temperature=temperature)
                    sums["kl"] += float(kl.sum())
                divergence, _ = target.loss_and_gradient(self.kind, logits, rows, **self.options)
                sums["divergence"] += float(divergence.sum())
        loss = (1 - self.kd_rate) * sums["cross_entropy"] + self.kd_rate * sums["divergence"]
        return {"loss": loss} | sums

    def _tokens(self) -> int:
        """Supervised tokens of the whole run."""
        epoch = sum(label != IGNORED for row in self.train_dataset for label in row["labels"])
        if self.args.max_steps > 0:
            steps = -(-len(self.batches) // self.args.gradient_accumulation_steps)
            return round(epoch * self.args.max_steps / steps)
        return round(epoch * self.args.num_train_epochs)
