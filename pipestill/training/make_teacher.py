"""The teacher that a training job's settings and files name, and whether it fits the student."""

from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan, plan_here
from pipestill.models.kinds import decoder_start
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.vocabulary import shared_vocabulary, vocabulary_size
from pipestill.settings.train import TrainingSettings
from pipestill.teacher.distributions.store import DistributionStore
from pipestill.training.inputs import Inputs
from pipestill.training.teachers import CachedTeacher, ForeignTeacher, OnlineTeacher, Teacher

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def make_teacher(
    settings: TrainingSettings, inputs: Inputs, tokenizer: "PreTrainedTokenizerBase", plan: HardwarePlan
) -> Teacher:
    """The teacher of a job.

    Args:
        tokenizer: of the student.
        plan: of the student.

    Raises:
        UserError: there is none, it has other tokens, or what is stored of it is not what the job needs.
    """
    if settings.training.divergence.teacher == "cached":
        return _stored_teacher(settings, inputs, tokenizer)
    if inputs.teacher_base is None:
        raise UserError(f"`{settings.divergence}` learns from a teacher that runs beside the student: name it")
    start = decoder_start(inputs.teacher_base)
    if (start is None) != (decoder_start(inputs.base) is None):
        raise UserError("student and teacher are not both causal models or both encoder-decoders: use `kd`")
    theirs = load_tokenizer(inputs.teacher or inputs.teacher_base)
    foreign = settings.divergence == "uld"
    vocabulary = vocabulary_size(tokenizer) if foreign else shared_vocabulary(tokenizer, theirs)
    plan = plan_here(settings.hardware, settings.teacher_adaptation or settings.training.adaptation, plan.threads)
    if inputs.teacher is None:
        model = load_base_model(inputs.teacher_base, plan)
    else:
        model = load_trained_model(inputs.teacher, inputs.teacher_base, plan)
    if foreign:
        return ForeignTeacher(model, theirs, settings.training.max_length, vocabulary, start)
    return OnlineTeacher(model, vocabulary)


def _stored_teacher(settings: TrainingSettings, inputs: Inputs, tokenizer: "PreTrainedTokenizerBase") -> CachedTeacher:
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
    tail = ("bucket" if settings.divergence == "fkl" else "unigram") if divergence.tail == "auto" else divergence.tail
    return CachedTeacher(store, tail)
