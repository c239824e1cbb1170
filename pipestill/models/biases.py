"""Training of biases alone (BitFit, Ben Zaken et al. 2022)."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from pipestill.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BIAS = "bias"  # how the names of biases end


def free_biases(model: "PreTrainedModel", head: Collection[str] = ()) -> "PreTrainedModel":
    """Freeze all weights of ``model`` but its biases and what is in the modules ``head``, which are new.

    Raises:
        UserError: there is no bias outside of the head.
    """
    model.requires_grad_(False)
    biases = 0
    for name, tensor in model.named_parameters():
        new = any(name.startswith(f"{module}.") for module in head)
        biases += is_bias(name) and not new
        tensor.requires_grad = new or is_bias(name)
    if not biases:
        raise UserError(
            f"the {model.config.model_type} model has no biases, so nothing of it can be trained by `adaptation: "
            "biases`: use `lora` or `full`, or a model with biases, such as BERT, OPT, GPT-2 or Qwen2"
        )
    return model


def is_bias(name: str) -> bool:
    """True for the name of a bias; an embedding such as T5's relative_attention_bias.weight is none."""
    return name.rpartition(".")[2].endswith(BIAS)
