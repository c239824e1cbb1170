"""Quantisation-aware training and conversion, by torchao; models on disk in the format of compressed-tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.settings.compression import Quantize

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def prepare_qat(model: "PreTrainedModel", settings: Quantize) -> None:
    """Let the linear layers of a float32 model round their weights (and inputs) in each forward pass, in place.

    Names and shapes of parameters stay, so that optimizers, resuming and ``save_pretrained`` work as before, and what
    is saved is the model before rounding. Embeddings and a head are rounded to bf16 here, once, and frozen.

    Raises:
        UserError: as :func:`~pipestill.plan.compressible.check`; weights are not float32.
    """
    raise NotImplementedError


def convert(model: "PreTrainedModel", settings: Quantize) -> None:
    """Quantise a float32 model in place, trained by :func:`prepare_qat` or not.

    After it, the model computes with the quantised weights, in float32, exactly as what :func:`save_quantized` writes
    does once it is loaded, and as the model of :func:`prepare_qat` did, bit for bit.

    Raises:
        UserError: as :func:`prepare_qat`.
    """
    raise NotImplementedError


def save_quantized(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    directory: Path,
    *,
    lineage: dict[str, Any],
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write a model that :func:`convert` made, as :func:`~pipestill.models.saving.save_model` does for others.

    Plain ``from_pretrained`` loads it, to bit-equal outputs.

    Args:
        model: converted.
        tokenizer: of the model.
        directory: the final place.
        lineage: see there.
        extras: see there.
    """
    raise NotImplementedError
