"""Low-rank adapters on a loaded base model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import KINDS, kind_of
from pipestill.settings.training import LoraConfig

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def add_adapter(
    model: "PreTrainedModel", lora: LoraConfig, plan: HardwarePlan, head: Sequence[str] = ()
) -> "PeftModel":
    """Put a fresh adapter on ``model`` (loaded with ``training=True``) and freeze the rest, but for new modules.

    Those in ``head`` are trained whole, and are stored with the adapter.

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
        modules_to_save=list(head) or None,
    )
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"training.lora does not fit this model: {str(error).strip().splitlines()[0]}") from error


def load_adapter(model: "PreTrainedModel", directory: Path) -> "PeftModel":
    """Put the adapter of ``directory`` on ``model``.

    Raises:
        UserError: a weight that its config asks for is missing; peft would draw it at random.
    """
    import peft
    from safetensors import safe_open

    adapted = peft.PeftModel.from_pretrained(model, directory)
    asked = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
    with safe_open(directory / peft.utils.SAFETENSORS_WEIGHTS_NAME, "pt") as file:
        missing = sorted(asked - set(file.keys()))
    if missing:
        raise UserError(
            f"the adapter {directory} lacks {len(missing)} of its weights, such as {missing[0]}: train it again"
        )
    return adapted
