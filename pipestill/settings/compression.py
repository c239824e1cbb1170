"""Sections about compression: pruning and quantisation."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipestill.settings.section import Part, Section


class Prune(Section):
    """Pruning."""

    reruns: ClassVar = {"*": "compress"}

    kind: Literal["magnitude", "wanda", "2:4", "depth", "width"]
    """Kind."""
    amount: Part | None = None
    """Share that is removed."""


class Quantize(Section):
    """Quantisation."""

    reruns: ClassVar = {"*": "compress"}

    scheme: Literal["int8", "int4", "int3", "int2", "int8-dynamic"]
    """Scheme."""
    group: Annotated[int, Field(ge=8, le=4096)] | None = None
    """Group."""
    qat: bool = False
    """QAT."""
