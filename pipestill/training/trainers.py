"""The trainer of a job: arguments from the settings and the hardware plan, silence where the library is chatty."""

from functools import partial
from typing import TYPE_CHECKING, Any

from pipestill.job.cost import CostMeter
from pipestill.models.hardware import HardwarePlan
from pipestill.models.rows import Row, collate, collate_explained
from pipestill.settings.train import TrainingSettings
from pipestill.settings.training import TrainingConfig
from pipestill.training.state import TrainingState

if TYPE_CHECKING:
    from pipestill.training.teachers import Teacher

# The Trainer's plain `constant` ignores the warm-up.
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def training_arguments(training: TrainingConfig, plan: HardwarePlan, seed: int, state: TrainingState) -> dict[str, Any]:
    """Arguments of ``TrainingArguments`` and ``DPOConfig``."""
    return {
        "output_dir": str(state.directory),
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
        "seed": seed,
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


def make_trainer(
    settings: TrainingSettings,
    plan: HardwarePlan,
    seed: int,
    model: Any,
    tokenizer: Any,
    rows: list[Row],
    validation: list[Row],
    state: TrainingState,
    cost: CostMeter,
    teacher: "Teacher | None" = None,
) -> Any:
    """The trainer of the objective, with rows from :mod:`pipestill.models.rows`; a divergence has a teacher."""
    from transformers import PrinterCallback, TrainingArguments

    training = settings.training
    arguments = training_arguments(training, plan, seed, state)
    common = {"model": model, "state": state, "cost": cost}
    if settings.objective == "dpo":
        from datasets import Dataset
        from trl import DPOConfig

        from pipestill.training.preference import PreferenceTrainer

        preference = {"beta": training.dpo.beta, "max_length": None, "precompute_ref_log_probs": True}
        trainer = PreferenceTrainer(
            **common,
            args=_one_device(DPOConfig(**arguments, **preference)),
            processing_class=tokenizer,
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(validation),
        )
    else:
        common |= {
            "args": _one_device(TrainingArguments(**arguments)),
            "data_collator": partial(
                collate_explained if settings.has_two_tasks else _collate,
                pad_token_id=tokenizer.pad_token_id,
                **({"teacher": teacher} if teacher else {}),
            ),
            "train_dataset": rows,
            "eval_dataset": validation,
        }
        if settings.objective == "divergence":
            from pipestill.training.divergence import DivergenceTrainer

            trainer = DivergenceTrainer(settings.divergence, training.divergence, teacher, **common)
        elif settings.has_two_tasks:
            from pipestill.training.stepwise import StepwiseTrainer

            trainer = StepwiseTrainer(training.stepwise, **common)
        else:
            from pipestill.training.cross_entropy import CrossEntropyTrainer

            trainer = CrossEntropyTrainer(**common)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _collate(rows: list[Row], pad_token_id: int, teacher: "Teacher | None" = None) -> dict[str, Any]:
    """A padded batch, with what the teacher needs to know of it."""
    return collate(rows, pad_token_id) | (teacher.columns(rows) if teacher else {})


def _one_device(arguments: Any) -> Any:
    """Keep to one GPU: where the Trainer sees several it copies the model to all, which our losses do not expect."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments
