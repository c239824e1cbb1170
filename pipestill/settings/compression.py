"""Sections about compression: what is cut out of a trained student, and in how many bits its weights are held."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.settings.section import Count, Part, Section

Pruning = Literal["magnitude", "wanda", "2:4", "depth", "width"]
Scheme = Literal["int8", "int4", "int3", "int2", "int8-dynamic"]
SPARSE: tuple[Pruning, ...] = ("magnitude", "wanda", "2:4")  # they set weights to zero and keep every shape
DYNAMIC: Scheme = "int8-dynamic"
SMALLEST_GROUP = 8  # weights that share a scale
BITS: dict[Scheme, int] = {"int8": 8, "int4": 4, "int3": 3, "int2": 2, DYNAMIC: 8}


class Prune(Section):
    """What is removed from a trained student."""

    kind: Pruning
    """Which weights go: `magnitude`: the smallest of each linear layer; `wanda`: of each output, those whose size times
    that of their input is smallest; `2:4`: by the same measure two of every four in a row (all three become zeros);
    `depth`: whole layers, those that change their input least; `width`: channels of feed-forward layers, those that are
    active least."""
    amount: Part = 0.5
    """Share that goes: of the weights, of the layers, or of the channels."""
    calibration: Count = 128
    """Training rows on which activations are measured, for all kinds but `magnitude`."""

    @model_validator(mode="after")
    def _two_of_four_is_half(self):
        if self.kind == "2:4" and self.amount != 0.5:
            raise ValueError("`kind: 2:4` removes half of the weights: leave `amount` out")
        return self


class Quantize(Section):
    """How the weights of linear layers are held; embeddings, heads and norms stay as they are, in 16 bits."""

    scheme: Scheme
    """`int8`: 8 bits with a scale for each output; `int4`, `int3` and `int2`: as many bits with a scale for each group
    of weights; `int8-dynamic`: as `int8`, and each token's activations in 8 bits too."""
    qat: bool = False
    """Train with rounded weights (quantisation-aware training), rather than round after training."""
    group: Annotated[int, Field(ge=SMALLEST_GROUP, le=1024)] = 32
    """Weights in a row that share a scale, for `int4`, `int3` and `int2`; it divides the width of every layer."""

    @property
    def bits(self) -> int:
        """Of a weight."""
        return BITS[self.scheme]

    @property
    def group_size(self) -> int | None:
        """Weights that share a scale; none where a whole row does."""
        return None if self.bits == 8 else self.group
