"""Sizes and speeds of models, as the job that measures them writes them."""

from typing import Annotated

from pydantic import Field

from pipestill.settings.models import HardwareConfig
from pipestill.settings.section import Section
from pipestill.settings.training import Adaptation

Amount = Annotated[float, Field(ge=0)]


class Size(Section):
    """Size and speed of the model of one row of a study's tables."""

    bytes: int
    """Bytes of its weights on disk, of an adapter with those that it belongs to."""
    parameters: int
    """Its parameters, shared ones counted once."""
    nonzero: int
    """Those that are not zero."""
    bits: Amount
    """Bits on disk a parameter, scales of quantised weights included."""
    prefill: Amount
    """Tokens of prompts read a second, in batches."""
    decode: Amount | None
    """Tokens written a second, one answer at a time; none of a model that does not write."""
    memory_mb: Amount
    """The most main memory that the process held which measured it, in MB (10^6 bytes), libraries included."""
    gpu_memory_mb: Amount | None
    """The most GPU memory that tensors held there; none where no GPU was used."""
    timed: str
    """The row whose model was timed for it: one of the same shape and number formats."""


class Sizes(Section):
    """Sizes and speeds of the models of a study."""

    study: str
    """Name of the study."""
    threads: int
    """Threads of torch."""
    device: str
    """Device that models ran on."""
    rows: dict[str, Size]
    """By the name of the row."""


class SizesSettings(Section):
    """Settings of the job that measures the models of a study."""

    study: str
    """Name of the study."""
    adaptations: dict[str, Adaptation]
    """Adaptation in the training of the model of each row, by its name; the hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
