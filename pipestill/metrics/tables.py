"""Metrics that tables show side by side; ``eval.json`` and ``summary.csv`` hold all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricTable:
    """Metrics that stand side by side.

    Attributes:
        names: metrics, from the left; the first one is followed by what it is on each test set.
        title: what stands above the table, where there are several.
        said: what the title says of all its metrics, so that their headings need not.
    """

    names: tuple[str, ...]
    title: str | None = None
    said: str = ""

    @property
    def by_test_set(self) -> list[str]:
        """Names of its first metric on each test set."""
        return [name for name in self.names if name.startswith(f"{self.names[0]}/")]

    def of(self, measured: Sequence[str]) -> "MetricTable":
        """The table of the metrics that were measured, the first one on each test set too."""
        first, *others = (name for name in self.names if name in measured)
        sets = [name for name in measured if name.startswith(f"{first}/")]
        return MetricTable((first, *sets, *others), self.title, self.said)
