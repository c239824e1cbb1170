"""Pruning of a trained model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipestill.settings.compression import Prune

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Batch = Mapping[str, "torch.Tensor"]


def prune(model: "PreTrainedModel", settings: Prune, calibration: Sequence[Batch]) -> dict[str, Any]:
    """Prune a whole model (full weights, any adapter merged) in place.

    Magnitude, Wanda and 2:4 leave zeros in the linear layers of the body; depth and width really remove layers and
    channels, and set the config right: ``save_pretrained`` then writes a plain smaller model.

    Args:
        model: in eval mode.
        settings: kind and amount.
        calibration: batches of training rows as :func:`~pipestill.models.rows.collate` makes them (labels are not
            read); empty for `magnitude`.

    Returns:
        What was done, for a JSON file: ``kind``, ``amount``, ``parameters`` and ``nonzero`` before and after as
        ``{"before", "after"}``, ``removed`` (numbers of the layers, for `depth`; channels a layer, for `width`).

    Raises:
        UserError: as :func:`~pipestill.plan.compressible.check`.
    """
    raise NotImplementedError
