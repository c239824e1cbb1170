"""Gains over SFT: the planned comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipestill.reporting.comparisons import Comparison
from pipestill.reporting.gap import GapClosed, gap_closed
from pipestill.reporting.study import Study


@dataclass(frozen=True)
class OverSft:
    """One method against SFT.

    Attributes:
        comparison: the planned one.
        sft: share of the gap between SFT and the teacher that it closes, where there is a gap.
        base: the same from the untrained student.
    """

    comparison: Comparison
    sft: GapClosed | None
    base: GapClosed | None


def over_sft_rows(study: Study, comparisons: Sequence[Comparison]) -> list[OverSft]:
    """The planned comparisons, with the shares of the gaps to the teacher that each method closes."""
    sft, base = ({closed.experiment.method: closed for closed in gap_closed(study, floor)} for floor in ("sft", "base"))
    return [OverSft(each, sft.get(each.a.method), base.get(each.a.method)) for each in comparisons]
