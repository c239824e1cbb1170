"""The model before the first step of a training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipestill.models.biases import free_biases
from pipestill.models.classifiers import with_head
from pipestill.models.hardware import HardwarePlan
from pipestill.models.loading import load_base_model, load_trained_model
from pipestill.settings.training import Adaptation, LoraConfig
from pipestill.training.job import Job


def load_start(job: Job) -> Any:
    """The model that a job trains, see :func:`load_student`."""
    training = job.settings.training
    of_job = job.inputs.base, job.inputs.init, training.adaptation, training.lora, job.plan, job.seed
    return load_student(*of_job, list(job.settings.labels))


def load_student(
    base: Path,
    init: Path | None,
    adaptation: Adaptation,
    lora: LoraConfig,
    plan: HardwarePlan,
    seed: int,
    labels: Sequence[str] = (),
) -> Any:
    """The base model or the merged SFT student, with a head for labels where there are some, and with a fresh adapter,
    or with all weights or its biases free.

    Args:
        base: directory of the base model.
        init: model directory of the SFT student, if training starts from it.
        adaptation: what is trained.
        lora: adapters, where these are.
        plan: of the hardware.
        seed: of what is drawn for the head and the adapter.
        labels: that the head is for; none: the model keeps its own.
    """
    import torch
    from transformers import set_seed

    from pipestill.models.adapters import add_adapter

    if init is None:
        model = load_base_model(base, plan, training=True)
    else:
        model = load_trained_model(init, base, plan, merge=True, training=True)
    head: list[str] = []
    if labels:
        set_seed(seed)
        model, head = with_head(model, labels, torch.float32)
    if adaptation == "full":
        return model.requires_grad_(True)
    if adaptation == "biases":
        return free_biases(model, head)
    set_seed(seed)
    return add_adapter(model, lora, plan, head)
