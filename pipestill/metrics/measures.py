"""Measures: how generated answers are scored, and which of their metrics tables show."""

from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from pipestill.metrics.tables import MetricTable

ENGLISH = "en"  # of answers that are of no test set


@dataclass(frozen=True)
class Scored:
    """Scores of a set of answers.

    Attributes:
        columns: by metric, in the order of the answers: a number, or what each adds to a metric of all answers.
        signatures: how metrics were computed that can be in several ways.
    """

    columns: dict[str, list[Any]]
    signatures: dict[str, Any] = field(default_factory=dict)

    def with_more(self, more: "Scored") -> "Scored":
        """These scores and others of the same answers."""
        return Scored({**self.columns, **more.columns}, {**self.signatures, **more.signatures})


@dataclass(frozen=True)
class Measure:
    """A way to score generated answers.

    Attributes:
        tables: what the report shows; the first metric of the first one decides.
        module: of its functions, apart from these facts so that an edited metric re-runs what scores and nothing else:
            ``one(answer, references)`` gives the metric that decides, ``score(answers, references, test_sets,
            splitter)`` :class:`Scored`.
        more: keys of the catalogue that are measured too.
    """

    tables: tuple[MetricTable, ...]
    module: str
    more: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Keys of the catalogue that can be measured; the first one decides."""
        return (*(name for table in self.tables for name in table.names), *self.more)

    @property
    def functions(self) -> ModuleType:
        """The module of its functions."""
        return import_module(self.module)


SHORT_ANSWERS = Measure((MetricTable(("rouge_l", "exact_match")),), "pipestill.metrics.short_answers")
SUMMARIES = Measure(
    (
        MetricTable(("rouge_l", "rouge_1", "rouge_2", "rouge_lsum", "bleu", "chrf", "bertscore", "exact_match")),
        MetricTable(
            ("rouge_l_unicode", "rouge_1_unicode", "rouge_2_unicode", "rouge_lsum_unicode"),
            "ROUGE by Unicode tokens",
            " (Unicode)",
        ),
    ),
    "pipestill.metrics.summaries",
    more=(
        *(f"rouge_lsum{tokens}_{part}" for tokens in ("", "_unicode") for part in ("precision", "recall")),
        *("bleu_nltk", "bertscore_precision", "bertscore_recall", "perplexity", "token_accuracy"),
    ),
)
MEASURES = {"short_answers": SHORT_ANSWERS, "summaries": SUMMARIES}  # by the names that configurations have for them
