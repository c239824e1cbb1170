"""Keeping transformers and what it brings along quick to import and quiet."""

import logging
import warnings

from pipestill.models.hardware import HardwarePlan


def unneeded_libraries(plan: HardwarePlan, *, adapters: bool = True, datasets: bool = False) -> list[str]:
    """Packages that transformers and peft import where they find them, and that a job does without.

    Args:
        plan: 4-bit weights and 8-bit optimizers need bitsandbytes.
        adapters: the job trains or merges some, which needs peft.
        datasets: the job uses the library of that name.
    """
    names = ["scipy", "sklearn", "PIL"]
    names += [] if adapters else ["peft"]
    names += [] if plan.quantization != "none" or "bit" in plan.optimizer else ["bitsandbytes"]
    names += [] if datasets else ["datasets"]
    return names


def silence_libraries() -> None:
    """No bars and no advice from transformers; the job says itself what it does."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # bitsandbytes warns of an optional download on every import
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|peft|trl")
