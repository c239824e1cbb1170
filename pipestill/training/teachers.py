"""Where a trainer has the teacher's side of a divergence from: a model beside the student, or what is stored of it."""

from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan, plan_here
from pipestill.models.heads import hidden_states, linear_head, predicting
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.rows import Row
from pipestill.models.vocabulary import shared_vocabulary
from pipestill.objectives.targets import DenseTarget, HiddenTarget, LogitsTarget, Target
from pipestill.teacher.distributions.store import DistributionStore
from pipestill.training.inputs import Inputs
from pipestill.training.resumable import Batch
from pipestill.training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHUNK = 128  # tokens whose logits are held at a time


class Teacher(Protocol):
    """Tells the distributions of the supervised tokens of a batch, row by row."""

    vocabulary: int
    """How many ids the tokenizer has."""

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """What a batch of ``rows`` needs beside the student's tensors."""

    def target(self, batch: Batch) -> Target:
        """The supervised tokens of ``batch``."""

    def top_ids(self, batch: Batch, target: Target) -> torch.Tensor:
        """The likeliest token at each of them, [supervised]."""


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

    def top_ids(self, batch: Batch, target: DenseTarget) -> torch.Tensor:
        """From the logits, chunk by chunk."""
        parts = (slice(start, min(start + CHUNK, len(target))) for start in range(0, len(target), CHUNK))
        return torch.cat([target.logits(rows, self.vocabulary).argmax(-1) for rows in parts])


class CachedTeacher:
    """Distributions that were captured before, found by the content of each row.

    Args:
        store: of the study.
        tail: what is made of tokens that a store of the likeliest ones has not.
    """

    def __init__(self, store: DistributionStore, tail: Literal["bucket", "unigram"]):
        self.store, self.tail = store, tail
        self.vocabulary = store.vocab_size

    def columns(self, rows: list[Row]) -> dict[str, Any]:
        """Keys of the rows."""
        return {"keys": [self.store.key(row) for row in rows]}

    def target(self, batch: Batch) -> Target:
        """What is stored."""
        return self.store.target(batch["keys"], self.tail, batch["labels"].device)

    def top_ids(self, batch: Batch, target: Target) -> torch.Tensor:
        """Stored too."""
        return self.store.top_ids(batch["keys"]).to(batch["labels"].device)


def make_teacher(
    settings: TrainingSettings,
    inputs: Inputs,
    rows: list[Row],
    tokenizer: "PreTrainedTokenizerBase",
    plan: HardwarePlan,
) -> Teacher:
    """The teacher of a job.

    Args:
        rows: all that it will be asked about.
        tokenizer: of the student.
        plan: of the student.

    Raises:
        UserError: there is none, it has other tokens, or what is stored of it is not what the job needs.
    """
    if settings.training.divergence.teacher == "cached":
        return _stored_teacher(settings, inputs, rows, tokenizer)
    if inputs.teacher_base is None:
        raise UserError(f"`{settings.divergence}` learns from a teacher that runs beside the student: name it")
    theirs = load_tokenizer(inputs.teacher or inputs.teacher_base)
    vocabulary = shared_vocabulary(tokenizer, theirs)
    plan = plan_here(settings.hardware, settings.teacher_adaptation or settings.training.adaptation, plan.threads)
    if inputs.teacher is None:
        return OnlineTeacher(load_base_model(inputs.teacher_base, plan), vocabulary)
    return OnlineTeacher(load_trained_model(inputs.teacher, inputs.teacher_base, plan), vocabulary)


def _stored_teacher(
    settings: TrainingSettings, inputs: Inputs, rows: list[Row], tokenizer: "PreTrainedTokenizerBase"
) -> CachedTeacher:
    if inputs.distributions is None:
        raise UserError(f"`{settings.divergence}` learns from stored distributions: name their manifest")
    store, divergence = DistributionStore(inputs.distributions), settings.training.divergence
    store.check(tokenizer=tokenizer, temperature=divergence.temperature)
    codec = store.manifest["codec"]["name"]
    if codec == "labels" or (codec == "sample" and settings.divergence != "fkl"):
        serves = "`fkl` alone" if codec == "sample" else "no divergence over tokens"
        raise UserError(
            f"{inputs.distributions} was captured with the codec `{codec}`, which serves {serves}: use `topk` or "
            f"`full` for `{settings.divergence}`, or `divergence.teacher: online`"
        )
    for row in rows:
        store.read([store.key(row)])  # a row that is missing is found now, not in the middle of the run
    tail = ("bucket" if settings.divergence == "fkl" else "unigram") if divergence.tail == "auto" else divergence.tail
    return CachedTeacher(store, tail)
