"""Quantisation-aware training and conversion, by torchao."""

import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from pipestill.compression.structure import linear_layers
from pipestill.errors import UserError
from pipestill.job.startup import need
from pipestill.losses.products import FasterLinear
from pipestill.plan.compressible import check
from pipestill.settings.compression import DYNAMIC, Quantize

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def prepare_qat(model: "PreTrainedModel", settings: Quantize) -> None:
    """Let the linear layers of a float32 model round their weights (and inputs) in each forward pass, in place.

    Gradients pass the rounding as if it were not there. Names and shapes of parameters stay, so that optimizers,
    resuming and ``save_pretrained`` work as before, and what is saved is the model before rounding. Embeddings and a
    head are rounded to bf16 here, once, and frozen.

    Raises:
        UserError: as :func:`~pipestill.plan.compressible.check`; weights are not float32.
    """
    _check(model, settings)
    for weight in _rest(model):
        weight.requires_grad_(False)
    library = _torchao()
    _to_layers(model, library.qat.QATConfig(_base(settings), step="prepare"))


def convert(model: "PreTrainedModel", settings: Quantize) -> None:
    """Quantise a float32 model in place, trained by :func:`prepare_qat` or not.

    After it, the model computes with the quantised weights, in float32, exactly as what
    :func:`~pipestill.compression.storing.save_quantized` writes does once it is loaded, and as the model of
    :func:`prepare_qat` did, bit for bit.

    Raises:
        UserError: as :func:`prepare_qat`.
    """
    _check(model, settings)
    _rest(model)
    library = _torchao()
    trained = any(isinstance(layer, library.qat.FakeQuantizedLinear) for layer in linear_layers(model).values())
    base = _base(settings)
    _to_layers(model, library.qat.QATConfig(base, step="convert") if trained else base)


@torch.no_grad()
def _rest(model: "PreTrainedModel") -> list[torch.nn.Parameter]:
    """The weights of embeddings and head, which become numbers that bf16 has."""
    modules = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    if (head := model.get_output_embeddings()) is not None:
        modules.append(head)
    for module in modules:
        module.weight.copy_(module.weight.bfloat16())
    return [module.weight for module in modules]


def _check(model: "PreTrainedModel", settings: Quantize) -> None:
    check(model.config.to_dict(), None, settings)
    other = next((tensor.dtype for tensor in model.parameters() if tensor.dtype != torch.float32), None)
    if other is not None:
        raise UserError(
            f"weights in {str(other).removeprefix('torch.')} cannot be quantised, since training and use would round "
            "in different ways: load the model in float32"
        )


def _to_layers(model: "PreTrainedModel", config: Any) -> None:
    names = linear_layers(model).keys()
    for layer in linear_layers(model).values():
        if type(layer) is FasterLinear:
            layer.__class__ = torch.nn.Linear  # whose product torchao's weights know
    _torchao().quantize_(model, config, lambda module, name: name in names)


def _base(settings: Quantize) -> Any:
    """The configuration of torchao for a scheme: symmetric, in whole numbers."""
    from torchao.quantization.granularity import PerAxis, PerGroup

    library = _torchao()
    weights = getattr(torch, f"int{settings.bits}")
    granularity = PerGroup(settings.group_size) if settings.group_size else PerAxis(0)
    if settings.scheme == DYNAMIC:
        return library.Int8DynamicActivationIntxWeightConfig(weight_dtype=weights, weight_granularity=granularity)
    return library.IntxWeightOnlyConfig(weight_dtype=weights, granularity=granularity)


def _torchao() -> ModuleType:
    """The library, quiet about kernels for other machines, which nothing here uses."""
    need("torchao")
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import torchao.quantization.qat

    return torchao.quantization
