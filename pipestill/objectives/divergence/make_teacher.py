"""The teacher that a training job's settings and files name, and whether it fits the student."""

from pathlib import Path

from pipestill.errors import UserError
from pipestill.models.division import Within, divide, undivided
from pipestill.models.hardware import in_main_memory, plan_here
from pipestill.models.kinds import reading_of
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.vocabulary import shared_vocabulary, vocabulary_size
from pipestill.objectives.divergence import Divergence
from pipestill.objectives.divergence.teachers import CachedTeacher, ForeignTeacher, OnlineTeacher, Teacher
from pipestill.teacher.distributions.store import DistributionStore
from pipestill.training.job import Job


def make_teacher(objective: Divergence, job: Job) -> Teacher:
    """The teacher of a job.

    Raises:
        UserError: there is none, it has other tokens, or what is stored of it is not what the job needs.
    """
    if not objective.cached(job.options):
        return _teacher_beside(objective, job)
    manifest = job.inputs.distributions
    if manifest is None:
        raise UserError(f"`{job.settings.method}` learns from stored distributions: name their manifest")
    return stored_teacher(objective, job, manifest)


def _teacher_beside(objective: Divergence, job: Job) -> Teacher:
    inputs, settings = job.inputs, job.settings
    if inputs.teacher_base is None:
        raise UserError(f"`{settings.method}` learns from a teacher that runs beside the student: name it")
    reads = reading_of(inputs.teacher_base)
    if reads.kind != job.reading.kind:
        raise UserError(
            f"the student is of the kind `{job.reading.kind}` and its teacher of the kind `{reads.kind}`: use `kd`, or "
            "distributions of labels that are stored (`distributions.codec: labels`)"
        )
    tokenizer = load_tokenizer(inputs.teacher or inputs.teacher_base)
    shared = shared_vocabulary(job.tokenizer, tokenizer) if objective.shares_tokens else None
    plan = plan_here(settings.hardware, settings.teacher_adaptation or settings.training.adaptation, job.plan.threads)
    plan = in_main_memory(plan) if job.divided else plan
    if inputs.teacher is None:
        model = load_base_model(inputs.teacher_base, plan)
    else:
        model = load_trained_model(inputs.teacher, inputs.teacher_base, plan)
    model.eval().requires_grad_(False)
    within: Within = divide(model, job.plan.device, head_stays=True) if job.divided else undivided
    if shared is None:
        return ForeignTeacher(model, job.encoder(tokenizer, reads), vocabulary_size(job.tokenizer), within)
    return OnlineTeacher(model, shared, within)


def stored_teacher(objective: Divergence, job: Job, manifest: Path) -> CachedTeacher:
    """What a manifest lists of a teacher.

    Raises:
        UserError: it is of another student or temperature, or does not serve the objective.
    """
    store = DistributionStore(manifest)
    store.check(tokenizer=job.tokenizer, temperature=job.options.temperature)
    try:
        objective.check_codec(store.manifest["codec"]["name"])
    except ValueError as error:
        raise UserError(f"{manifest}: {error}") from None
    return CachedTeacher(store, objective.tail(job.options))
