"""Everything that the report says of one study, before it is put into words and a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipestill.reporting.comparisons import Comparison, against_sft, compare, find
from pipestill.reporting.conclusion import Conclusion, conclude
from pipestill.reporting.fidelity import Fidelity
from pipestill.reporting.figures import draw
from pipestill.reporting.study import Experiment, Study
from pipestill.reporting.warnings import Warnings, warnings


@dataclass(frozen=True)
class Findings:
    """A study with what was made of it.

    Attributes:
        pairs: all of them, compared.
        over_sft: every other trained method against SFT; empty where there is none.
        fidelity: of its cache of the teacher's distributions, if it has one.
    """

    study: Study
    pairs: list[Comparison]
    over_sft: list[Comparison]
    fidelity: Fidelity | None = None

    @cached_property
    def conclusion(self) -> Conclusion:
        """The best method, and its costs."""
        return conclude(self.study, self.pairs)

    def beside_sft(self, experiment: Experiment) -> Comparison | None:
        """A method against SFT: the planned comparison, or else that among all pairs; none of SFT itself."""
        sft = self.study.sft
        if sft is None or experiment is sft:
            return None
        planned = (each for each in self.over_sft if each.a is experiment)
        return next(planned, None) or find(self.pairs, experiment, sft)

    @cached_property
    def warnings(self) -> Warnings:
        """Facts that may mislead a reader."""
        return warnings(self.study, self.pairs)

    @cached_property
    def figures(self) -> Mapping[str, str]:
        """SVG by name."""
        return draw(self.study)


def findings(study: Study, fidelity: Fidelity | None = None) -> Findings:
    """Compare the methods of a study."""
    return Findings(study, compare(study), against_sft(study), fidelity)
