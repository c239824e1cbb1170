"""What every trainer is told, from the settings and the hardware plan; the library is kept quiet."""

from collections.abc import Callable
from typing import Any

from transformers import TrainingArguments

from pipestill.training.job import Data, Job

# The Trainer's plain `constant` ignores the warm-up.
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def trainer_arguments(
    job: Job, model: Any, data: Data, make: Callable[..., TrainingArguments] = TrainingArguments
) -> dict[str, Any]:
    """Arguments of a :class:`~pipestill.training.resumable.ResumableTrainer`, all but what makes a batch of rows.

    Args:
        job: of the trainer.
        model: to train.
        data: to train on, and to evaluate on.
        make: what the library's trainer has its own arguments in.
    """
    return {
        "model": model,
        "state": job.state,
        "cost": job.cost,
        "parts": job.objective.parts,
        "processes": job.processes,
        "divided": job.divided,
        "args": _one_device(make(**_training_arguments(job))),
        "train_dataset": data.rows,
        "eval_dataset": data.validation,
    }


def _training_arguments(job: Job) -> dict[str, Any]:
    training, plan = job.settings.training, job.plan
    return {
        "output_dir": str(job.state.directory),
        "num_train_epochs": training.epochs,
        "max_steps": training.max_steps or -1,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": SCHEDULES[training.schedule],
        "warmup_steps": training.warmup,  # below 1 a share of all steps, here as there
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "per_device_train_batch_size": training.batch_size,
        "gradient_accumulation_steps": training.accumulation_steps,
        "activation_checkpointing": training.gradient_checkpointing,
        "optim": plan.optimizer,
        "bf16": plan.precision == "bf16",
        "fp16": plan.precision == "fp16",
        "use_cpu": plan.device == "cpu",
        "seed": job.seed,
        "logging_strategy": "steps",
        "logging_steps": 1,  # a longer mean would not survive a resume
        "logging_nan_inf_filter": False,
        "eval_strategy": "no",  # evaluating and saving is the Schedule's
        "save_strategy": "no",
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "log_level": "error",
        "report_to": "none",
    }


def _one_device(arguments: TrainingArguments) -> TrainingArguments:
    """Keep to one GPU: where the Trainer sees several it copies the model to all, which our losses do not expect."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments
