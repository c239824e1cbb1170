"""Everything that the report says of one study, before it is put into words, tables and a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipestill.reporting.comparisons import Comparison, against_sft, compare
from pipestill.reporting.figures import draw
from pipestill.reporting.study import Study


@dataclass(frozen=True)
class Findings:
    """A study with what was made of it.

    Attributes:
        pairs: all of them, compared.
        over_sft: every other trained method against SFT; empty where there is none.
        figures: SVG by name.
        fidelity: of its cache of the teacher's distributions, if it has one.
    """

    study: Study
    pairs: list[Comparison]
    over_sft: list[Comparison]
    figures: dict[str, str]
    fidelity: Mapping[str, Any] | None = None


def findings(study: Study, fidelity: Mapping[str, Any] | None = None) -> Findings:
    """Compare the methods of a study, and draw its figures."""
    return Findings(study, compare(study), against_sft(study), draw(study), fidelity)
