"""Where a trainer has the teacher's side of a divergence from: a model beside the student, or what is stored of it."""

from typing import TYPE_CHECKING, Any, Protocol

import torch

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan, plan_here
from pipestill.models.heads import hidden_states, linear_head, predicting
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.rows import Row
from pipestill.models.vocabulary import shared_vocabulary
from pipestill.objectives.targets import DenseTarget, HiddenTarget, LogitsTarget, Target
from pipestill.training.inputs import Inputs
from pipestill.training.resumable import Batch
from pipestill.training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Teacher(Protocol):
    """Tells the distributions of the supervised tokens of a batch, row by row."""

    vocabulary: int
    """How many ids the tokenizer has."""

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """What a batch of ``rows`` needs beside the student's tensors."""

    def target(self, batch: Batch) -> Target:
        """The supervised tokens of ``batch``."""

    def top_ids(self, batch: Batch, target: Target, rows: slice) -> torch.Tensor:
        """The likeliest token [rows] of some tokens of a target."""


class OnlineTeacher:
    """A model that runs beside the student, without gradients and without dropout.

    Args:
        model: a causal language model.
        vocabulary: how many ids the tokenizer has.
    """

    def __init__(self, model: Any, vocabulary: int):
        self.model = model.eval().requires_grad_(False)
        self.vocabulary = vocabulary
        self.head = linear_head(model)

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """Nothing."""
        return {}

    @torch.no_grad()
    def target(self, batch: Batch) -> DenseTarget:
        """Hidden states and head; logits, where the head does more than a linear map."""
        if self.head is not None:
            return HiddenTarget(hidden_states(self.model, batch), self.head.weight, self.head.bias)
        return LogitsTarget(
            self.model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                logits_to_keep=predicting(batch["labels"]),
                use_cache=False,
            ).logits
        )

    def top_ids(self, batch: Batch, target: DenseTarget, rows: slice) -> torch.Tensor:
        """From the logits."""
        return target.logits(rows, self.vocabulary).argmax(-1)


def make_teacher(
    settings: TrainingSettings, inputs: Inputs, tokenizer: "PreTrainedTokenizerBase", plan: HardwarePlan
) -> Teacher:
    """The teacher of a job.

    Args:
        tokenizer: of the student.
        plan: of the student.

    Raises:
        UserError: there is none, or it has other tokens.
    """
    if inputs.teacher_base is None:
        raise UserError(f"`{settings.divergence}` needs a teacher: give --teacher-base or --distributions")
    theirs = load_tokenizer(inputs.teacher or inputs.teacher_base)
    vocabulary = shared_vocabulary(tokenizer, theirs)
    plan = plan_here(settings.hardware, settings.teacher_adaptation or settings.training.adaptation, plan.threads)
    if inputs.teacher is None:
        return OnlineTeacher(load_base_model(inputs.teacher_base, plan), vocabulary)
    return OnlineTeacher(load_trained_model(inputs.teacher, inputs.teacher_base, plan), vocabulary)
