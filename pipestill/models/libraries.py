"""Transformers and what it brings along: imported once, before the first model, and quiet."""

import logging
import warnings

from pipestill.job.startup import need, settle


def import_libraries(*, four_bit: bool) -> None:
    """Import what every model needs, which ends the start of a job.

    This comes before there is a model: what libraries leave behind as they are imported keeps the calls that imported
    them, with their variables, for good.

    Args:
        four_bit: models or optimizers need bitsandbytes.
    """
    if four_bit:
        need("bitsandbytes")
    import transformers.modeling_utils  # noqa: F401

    silence_libraries()
    settle()


def silence_libraries() -> None:
    """No bars and no advice from transformers; the job says itself what it does."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # bitsandbytes warns of an optional download on every import
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|peft|trl")
