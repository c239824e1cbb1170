"""Everything that the report says of one study, before it is put into words and a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipestill.reporting.comparisons import AGAINST_SFT, Comparison, compare, find
from pipestill.reporting.compression import Compression, compression
from pipestill.reporting.conclusion import Conclusion, conclude
from pipestill.reporting.fidelity import Fidelity
from pipestill.reporting.figures import draw
from pipestill.reporting.study import Experiment, Study
from pipestill.reporting.warnings import Warnings, warnings


@dataclass(frozen=True)
class Findings:
    """A study with what was made of it.

    Attributes:
        pairs: all of them, compared once.
        fidelity: of its cache of the teacher's distributions, if it has one.
        compression: what its compressed students are beside the others, if it has some.
    """

    study: Study
    pairs: list[Comparison]
    fidelity: Fidelity | None = None
    compression: Compression | None = None

    @property
    def comparisons(self) -> list[Comparison]:
        """Those of compressed students, too."""
        return [*self.pairs, *(self.compression.comparisons if self.compression else ())]

    @property
    def over_sft(self) -> list[Comparison]:
        """Every other trained method against SFT; empty where there is none."""
        return [each for each in self.pairs if each.family == AGAINST_SFT]

    @cached_property
    def conclusion(self) -> Conclusion:
        """The best method, and its costs."""
        return conclude(self.study, self.pairs)

    def beside_sft(self, experiment: Experiment) -> Comparison | None:
        """What a method is above SFT; none of SFT itself, and of compressed students, which are compared with those
        that they were made of."""
        sft = self.study.sft
        return None if sft is None or experiment is sft or experiment.parent else find(self.pairs, experiment, sft)

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
    pairs = compare(study)
    return Findings(study, pairs, fidelity, compression(study, pairs))
