"""Sections about training, but for those of single objectives, which :mod:`pipestill.objectives` have."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pipestill.settings.section import Count, Section, partial

Adaptation = Literal["lora", "full"]


class LoraConfig(Section):
    """Low-rank adapters."""

    r: Count = 16
    """Rank."""
    alpha: Count = 32
    """Scale (lora_alpha); the update is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Dropout on the adapter's input (lora_dropout)."""
    target_modules: Literal["auto"] | list[str] = "auto"
    """Modules that get an adapter; `auto`: every linear layer but the head (all-linear)."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Biases that are trained."""


class TrainingConfig(Section):
    """Settings of one model's training."""

    adaptation: Adaptation = "lora"
    """Train low-rank adapters (QLoRA when the base model is quantised), or all weights (full fine-tuning)."""
    lora: LoraConfig = LoraConfig()
    """Adapters, for `adaptation: lora`."""
    init: Literal["base", "sft"] = "base"
    """Start from the base model, or from the SFT student of the same seed (its adapter is merged first)."""
    epochs: Annotated[float, Field(gt=0)] = 3
    """Passes over the training data (num_train_epochs)."""
    max_steps: Count | None = None
    """Optimizer steps; overrides `epochs`."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Course of the learning rate after the warm-up (lr_scheduler_type)."""
    warmup: Annotated[float, Field(ge=0)] = 0.03
    """Warm-up: a share of all steps below 1 (warmup_ratio), else a number of steps (warmup_steps)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped at this norm."""
    batch_size: Count = 8
    """Examples in one forward pass (per_device_train_batch_size)."""
    accumulation_steps: Count = 1
    """Forward passes per optimizer step (gradient_accumulation_steps)."""
    max_length: Count = 256
    """Tokens of prompt and answer together; a longer prompt loses its end, the answer and the template stay whole."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    evaluations: Count = 4
    """Evaluations of the loss on validation rows during training, spread evenly over the run (compare eval_steps)."""
    saves: Count = 4
    """Saves of the training state, spread evenly over the run, to resume a killed job (compare save_steps)."""
    select: Literal["last", "loss", "metric"] = "last"
    """Weights that are the result (load_best_model_at_end, metric_for_best_model): the last ones, those with the lowest
    validation loss, or, of `keep_best` with the lowest losses, those with the best first metric on generated validation
    answers."""
    keep_best: Count = 1
    """Evaluations whose weights are kept to select from (save_total_limit)."""
    selection_rows: Count | None = None
    """Validation rows that `select: metric` generates answers for; all when absent."""

    def used(self) -> dict[str, Any]:
        """The settings in effect: those of adapters or of a selection only if there is one."""
        unused = {"lora"} if self.adaptation == "full" else set()
        unused |= {"selection_rows", "keep_best"} if self.select != "metric" else set()
        return self.model_dump(exclude=unused)


TrainingOverride = partial(TrainingConfig)
