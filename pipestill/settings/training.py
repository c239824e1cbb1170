"""Sections about training, but for those of single objectives, which :mod:`pipestill.objectives` have."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from pipestill.settings.section import Count, Distinct, Section, Tokens, Word, partial

Adaptation = Literal["lora", "full", "biases"]
Times = Annotated[int, Field(ge=1, le=10_000)]
Batch = Annotated[int, Field(ge=1, le=65_536)]


def _steps_are_whole(warmup: float) -> float:
    if warmup > 1 and warmup % 1:
        raise ValueError("it is a share of all steps below 1, or else a whole number of steps")
    return warmup


Warmup = Annotated[float, Field(ge=0, le=10**7), AfterValidator(_steps_are_whole)]


class LoraConfig(Section):
    """Low-rank adapters."""

    r: Annotated[int, Field(ge=1, le=4096)] = 16
    """Rank."""
    alpha: Annotated[int, Field(ge=1, le=65_536)] = 32
    """Scale (lora_alpha); the update is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Dropout on the adapter's input (lora_dropout)."""
    target_modules: Literal["auto"] | Annotated[list[Word], Field(min_length=1), Distinct] = "auto"
    """Modules that get an adapter; `auto`: every linear layer but the head (all-linear)."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Biases that are trained."""


class TrainingConfig(Section):
    """Settings of one model's training."""

    reruns: ClassVar = {
        "*": "train_teacher train_annotator train compress",
        "lora": "train_teacher train_annotator own_answers train",
        "init": "own_answers train",
        "adaptation": "train_teacher teacher_outputs teacher_distributions_shard train_annotator own_answers train "
        "predict",
        **dict.fromkeys(
            ("epochs", "max_steps", "batch_size", "accumulation_steps"),
            "train_teacher train_annotator own_answers train compress",
        ),
        "max_length": "training_file train_annotator train predict",
        "keep_best": "train_teacher train compress",
        "selection_rows": "train_teacher train compress",
        "saves": "",
    }

    adaptation: Adaptation = "lora"
    """Train low-rank adapters (QLoRA when the base model is quantised), all weights (full fine-tuning), or the biases
    alone (BitFit), of a model that has some."""
    lora: LoraConfig = LoraConfig()
    """Adapters, for `adaptation: lora`."""
    init: Literal["base", "sft"] = "base"
    """Start from the base model, or from the SFT student of the same seed (its adapter is merged first)."""
    epochs: Annotated[float, Field(ge=0.001, le=10_000)] = 3
    """Passes over the training data (num_train_epochs)."""
    max_steps: Annotated[int, Field(ge=1, le=10**7)] | None = None
    """Optimizer steps; overrides `epochs`."""
    learning_rate: Annotated[float, Field(ge=1e-9, le=1)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Course of the learning rate after the warm-up (lr_scheduler_type)."""
    warmup: Warmup = 0.03
    """Warm-up: a share of all steps below 1 (warmup_ratio), else a number of steps (warmup_steps)."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """AdamW's weight decay."""
    max_grad_norm: Annotated[float, Field(ge=1e-6, le=10**9)] = 1.0
    """Gradients are clipped at this norm."""
    batch_size: Batch = 8
    """Examples in one forward pass, of all devices together."""
    accumulation_steps: Batch = 1
    """Forward passes per optimizer step (gradient_accumulation_steps)."""
    max_length: Tokens = 256
    """Tokens of prompt and answer together; a longer prompt loses its end, the answer and the template stay whole."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    evaluations: Times = 4
    """Evaluations of the loss on validation rows during training, spread evenly over the run (compare eval_steps)."""
    saves: Times = 4
    """Saves of the training state, spread evenly over the run, to resume a killed job (compare save_steps)."""
    select: Literal["last", "loss", "metric"] = "last"
    """Weights that are the result (load_best_model_at_end, metric_for_best_model): the last ones, those with the lowest
    validation loss, or, of `keep_best` with the lowest losses, those with the best first metric on generated validation
    answers."""
    keep_best: Times = 1
    """Evaluations whose weights are kept to select from (save_total_limit)."""
    selection_rows: Count | None = None
    """Validation rows that `select: metric` generates answers for; all when absent."""

    def used(self) -> dict[str, Any]:
        """The settings in effect: those of adapters or of a selection only if there is one; not saves, which change no
        weight."""
        unused = {"saves", *({"lora"} if self.adaptation != "lora" else ())}
        unused |= {"selection_rows", "keep_best"} if self.select != "metric" else set()
        return self.model_dump(exclude=unused)


TrainingOverride = partial(TrainingConfig)
