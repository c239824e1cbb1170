"""What goes through the layers of a model while it reads rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batch = Mapping[str, torch.Tensor]
SIDES = {"": "attention_mask", "decoder_": "decoder_attention_mask"}  # masks by the side whose tokens they are of


def squared_inputs(
    model: "PreTrainedModel", layers: Mapping[str, torch.nn.Linear], calibration: Sequence[Batch]
) -> dict[str, torch.Tensor]:
    """Sums over all tokens of the squares of each input, [inputs] of float64, by the name of the layer."""
    sums = {name: torch.zeros(layer.in_features, dtype=torch.float64) for name, layer in layers.items()}

    def adder(name: str) -> Any:
        def add(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            sums[name] += arguments[0].reshape(-1, arguments[0].shape[-1]).double().square().sum(0).cpu()

        return add

    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_pre_hook(adder(name)).remove)
        _read(model, calibration)
    return sums


def influence(model: "PreTrainedModel", layers: torch.nn.ModuleList, calibration: Sequence[Batch]) -> list[float]:
    """How much each layer turns its input: 1 less the mean cosine of a token's states before and behind it.

    ShortGPT (Men et al. 2024) calls it block influence.
    """
    turned, tokens = [0.0] * len(layers), [0] * len(layers)

    def meter(number: int) -> Any:
        def measure(module: torch.nn.Module, arguments: tuple, named: dict[str, Any], output: Any) -> None:
            before = arguments[0] if arguments else named["hidden_states"]
            behind = output[0] if isinstance(output, tuple) else output
            cosines = torch.nn.functional.cosine_similarity(before.double(), behind.double(), dim=-1)
            turned[number] += float((1 - cosines).sum())
            tokens[number] += cosines.numel()

        return measure

    with ExitStack() as hooks:
        for number, layer in enumerate(layers):
            hooks.callback(layer.register_forward_hook(meter(number), with_kwargs=True).remove)
        _read(model, calibration)
    return [value / max(count, 1) for value, count in zip(turned, tokens, strict=True)]


@torch.inference_mode()
def _read(model: "PreTrainedModel", calibration: Sequence[Batch]) -> None:
    cached = {"use_cache": False} if hasattr(model.config, "use_cache") else {}
    for row in _rows(calibration):
        model(**{name: tensor.to(model.device) for name, tensor in row.items()}, **cached)


def _rows(calibration: Sequence[Batch]) -> Iterator[dict[str, torch.Tensor]]:
    """The rows of batches, each [1, tokens] without padding, so that no mask is needed to leave it out."""
    for batch in calibration:
        for number in range(len(batch["input_ids"])):
            row = {}
            for side, mask in SIDES.items():
                if f"{side}input_ids" in batch:
                    real = batch[mask][number].bool()
                    row[f"{side}input_ids"] = batch[f"{side}input_ids"][number][real][None]
            yield row
