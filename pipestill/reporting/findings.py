"""Everything that the report says of one study, before it is put into words and a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipestill.reporting.comparisons import Comparison, against_sft, compare, find
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
        pairs: all of them, compared.
        over_sft: every other trained method against SFT; empty where there is none.
        fidelity: of its cache of the teacher's distributions, if it has one.
        compression: what its compressed students are beside the others, if it has some.
    """

    study: Study
    pairs: list[Comparison]
    over_sft: list[Comparison]
    fidelity: Fidelity | None = None
    compression: Compression | None = None

    @property
    def comparisons(self) -> list[Comparison]:
        """Those of all families."""
        of_compressed = [*self.compression.parents, *self.compression.best] if self.compression else []
        return [*self.pairs, *self.over_sft, *of_compressed]

    @cached_property
    def conclusion(self) -> Conclusion:
        """The best method, and its costs."""
        return conclude(self.study, self.pairs)

    def beside_sft(self, experiment: Experiment) -> Comparison | None:
        """A method against SFT: the planned comparison, or else that among all pairs; none of SFT itself, and of
        compressed students, which are compared with those that they were made of."""
        sft = self.study.sft
        if sft is None or experiment is sft or experiment.parent:
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
    return Findings(study, compare(study), against_sft(study), fidelity, compression(study))
