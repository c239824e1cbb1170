"""Sections about training."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.settings.section import Count, Section, Share, partial

MULTI_TASK_OPTIONS = {"alpha", "one_pass"}  # of `stepwise`, without use in its single-task variant


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


class DivergenceConfig(Section):
    """Token-wise divergences from the teacher; an option that a method's divergence does not have is refused there."""

    kd_rate: Share = 0.5
    """The loss is (1 - kd_rate) cross-entropy + kd_rate divergence."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Both models' logits are divided by it."""
    t_squared: bool = False
    """Multiply the divergence by the squared temperature (Hinton et al. 2015)."""
    teacher: Literal["online", "cached"] = "online"
    """`online`: the teacher runs beside the student; `cached`: its distributions are computed once for the study."""
    tail: Literal["auto", "bucket", "unigram"] = "auto"
    """What a `topk` cache says of other tokens: one `bucket` for all of them (another objective than the dense one),
    or `unigram`: their mass, spread as the teacher does on average; `auto`: `bucket` for fkl, else `unigram`."""
    chunk: Count = 128
    """Tokens whose logits are held at a time."""
    lam: float | None = None
    """Mixing weight of sfkl, srkl and symmetric; each has its own default."""
    alpha: float | None = None
    """Of ab; for akl the probability mass of the tail."""
    beta: float | None = None
    """Of ab; for jsd the teacher's weight in the mixture, for todi the sharpness."""
    order: Literal["ascending", "descending"] | None = None
    """Order in which akl collects the tail: ascending as in ToDi (the default), descending as by its authors."""
    stop_gradient: bool | None = None
    """Whether todi holds its weights constant (the default)."""


class StepwiseConfig(Section):
    """Distilling step-by-step."""

    mode: Literal["multi_task", "single_task"] = "multi_task"
    """`multi_task`: answers and rationales are two tasks, told apart by their prompts; `single_task`: the rationale, a
    marker and the answer are one text, of which only what follows the marker is scored."""
    alpha: Share = 0.5
    """The loss is alpha (mean over the tokens of answers) + (1 - alpha) (mean over the tokens of rationales), for
    `multi_task`."""
    one_pass: bool = True
    """Answers and rationales of a batch go through the model together; otherwise one after the other, which takes
    longer and about half of the memory. For `multi_task`."""


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
    select: Literal["last", "loss", "metric"] = "last"
    """Which weights are the result: the last ones, those with the lowest validation loss, or, of `keep_best` with the
    lowest losses, those with the best primary metric on generated validation answers."""
    keep_best: Count = 1
    """Evaluations whose weights are kept to select from."""
    selection_rows: Count | None = None
    """Validation rows that `select: metric` generates answers for; all when absent."""
    dpo: DpoConfig = DpoConfig()
    """Options of `dpo`."""
    divergence: DivergenceConfig = DivergenceConfig()
    """Options of the token-wise divergences."""
    stepwise: StepwiseConfig = StepwiseConfig()
    """Options of `stepwise`."""


TrainingOverride = partial(TrainingConfig)
