"""Keeping transformers and what it brings along quiet."""

import logging
import warnings


def silence_libraries() -> None:
    """No bars and no advice from transformers; the job says itself what it does."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # bitsandbytes warns of an optional download on every import
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|peft|trl")
