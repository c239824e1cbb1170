"""Sizes and speeds of models, as the job that measures them writes them."""

from typing import Annotated

from pydantic import Field

from pipestill.settings.section import Section

Amount = Annotated[float, Field(ge=0)]


class Size(Section):
    """Size and speed of the model of one row of a study's tables, on one thread of a processor."""

    bytes_on_disk: int
    """Bytes of its weights on disk, of an adapter with those that it belongs to."""
    parameters: int
    """Its parameters, shared ones counted once."""
    nonzero_weights: int
    """Those that are not zero."""
    bits_a_weight: Amount
    """Bits on disk a parameter, scales of quantised weights included."""
    quantised_layers: int
    """Layers that are quantised."""
    fast_layers: int
    """Those of them that integer kernels multiply by here."""
    prefill_tokens_a_second: Amount
    """Tokens of prompts that are read in a second of processor time."""
    decode_tokens_a_second: Amount | None
    """Tokens that are written in one, one answer at a time; none of a model that does not write."""
    peak_memory_mb: Amount
    """The most memory that the process held which measured it, in MB (10^6 bytes), libraries included."""
    timed: str
    """The row whose model was timed for it: one of the same shape and number formats."""

    @property
    def speed(self) -> float:
        """Tokens a second of what a model spends its time on: writing, or reading where it does not write."""
        return self.decode_tokens_a_second or self.prefill_tokens_a_second


class Sizes(Section):
    """Sizes and speeds of the models of a study."""

    study: str
    """Name of the study."""
    rows: dict[str, Size]
    """By the name of the row."""
