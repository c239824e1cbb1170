"""Which metrics the tables of a study show, and side by side with which; ``eval.json`` and ``summary.csv`` hold all."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipestill.evaluation.formats import metric_title


@dataclass(frozen=True)
class MetricTable:
    """Metrics that stand side by side.

    Attributes:
        names: metrics, from the left; the first one is followed by what it is on each of several test sets.
        title: what stands above the table, where there are several.
        said: what the title says of all its metrics, so that their headings need not.
    """

    names: tuple[str, ...]
    title: str | None = None
    said: str = ""

    @property
    def by_test_set(self) -> list[str]:
        """What its first metric is called on each test set."""
        return [name for name in self.names if name.startswith(f"{self.names[0]}/")]

    def heading(self, name: str) -> str:
        """What a column is called."""
        return metric_title(name).removesuffix(self.said)

    def of(self, measured: Sequence[str]) -> "MetricTable":
        """The table of the metrics that were measured, the first one on each test set too."""
        first, *others = (name for name in self.names if name in measured)
        sets = [name for name in measured if name.startswith(f"{first}/")]
        return MetricTable((first, *sets, *others), self.title, self.said)


# Of documents, which are scored in so many ways that one table cannot show them all.
SUMMARIES = (
    MetricTable(("rouge_l", "rouge_1", "rouge_2", "rouge_lsum", "bleu", "chrf", "bertscore", "exact_match")),
    MetricTable(
        ("rouge_l_unicode", "rouge_1_unicode", "rouge_2_unicode", "rouge_lsum_unicode"),
        "ROUGE by Unicode tokens",
        " (Unicode)",
    ),
)
