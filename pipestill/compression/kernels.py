"""Fast products with quantised weights on a CPU, for answers by hand and serving."""

from typing import Any


def use_fast_kernels(model: Any) -> int:
    """Let quantised linear layers of a loaded model multiply by integer kernels, in place, where those are faster.

    Outputs then differ from the exact arithmetic by rounding (docs/compression.md has numbers), so measured quality
    comes from models without them.

    Returns:
        How many layers do; 0 for a model that is not quantised, is not on a CPU or is too small to gain.
    """
    raise NotImplementedError
