"""Low-rank adapters on a loaded base model."""

from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import KINDS, kind_of
from pipestill.settings.training import LoraConfig

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def add_adapter(model: "PreTrainedModel", lora: LoraConfig, plan: HardwarePlan) -> "PeftModel":
    """Put a fresh adapter on ``model`` (loaded with ``training=True``) and freeze the rest.

    The start of the adapter is drawn from torch's global generator: seed it before. Adapter weights are fp32 whatever
    the base weights are. On a quantised model this is QLoRA: what is not quantised is held in fp32.

    Raises:
        UserError: ``target_modules`` names none of the model's modules.
    """
    import peft

    if plan.quantization != "none":
        # Gradient checkpointing is the trainer's to switch on, without re-entrance, which needs no preparation.
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        target_modules="all-linear" if lora.target_modules == "auto" else lora.target_modules,
        task_type=KINDS[kind_of(model.config)].task_type,
    )
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"training.lora does not fit this model: {str(error).strip().splitlines()[0]}") from error
