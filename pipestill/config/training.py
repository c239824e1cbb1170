"""Sections about training."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.config.section import Count, Section, partial


class LoraConfig(Section):
    """Low-rank adapters."""

    r: Count = 16
    """Rank."""
    alpha: Count = 32
    """Scale; the update is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Dropout on the adapter's input."""
    target_modules: Literal["auto"] | list[str] = "auto"
    """Modules that get an adapter; `auto`: every linear layer but the head."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases are trained."""


class DpoConfig(Section):
    """Direct preference optimisation."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    """Strength of the pull towards the reference model."""
    rejected: Literal["random", "confusable"] = "random"
    """The rejected label: any wrong one, or the wrong one that the teacher finds most likely."""


class TrainingConfig(Section):
    """How one model is trained."""

    adaptation: Literal["lora", "full"] = "lora"
    """Train low-rank adapters (QLoRA when the base model is quantised), or all weights."""
    lora: LoraConfig = LoraConfig()
    """Adapters, for `adaptation: lora`."""
    init: Literal["base", "sft"] = "base"
    """Start from the base model, or from the SFT student of the same seed (its adapter is merged first)."""
    epochs: Annotated[float, Field(gt=0)] = 3
    """Passes over the training data."""
    max_steps: Count | None = None
    """Optimizer steps; overrides `epochs`."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Course of the learning rate after the warm-up."""
    warmup: Annotated[float, Field(ge=0)] = 0.03
    """Warm-up: a share of all steps below 1, else a number of steps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped at this norm."""
    batch_size: Count = 8
    """Examples in one forward pass."""
    accumulation_steps: Count = 1
    """Forward passes per optimizer step."""
    max_length: Count = 256
    """Tokens of prompt and answer together; a longer prompt loses its end, the answer and the template stay whole."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    evaluations: Count = 4
    """How often the loss on validation rows is measured during training."""
    checkpoints: Count = 4
    """How often the training state is saved, for resuming after a kill."""
    dpo: DpoConfig = DpoConfig()
    """Options of `dpo`."""


TrainingOverride = partial(TrainingConfig)
