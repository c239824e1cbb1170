"""Measures: how generated answers are scored, and which of their metrics tables show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.rouge import rouge_l
from pipestill.metrics.tables import MetricTable
from pipestill.text.sentences import Splitter

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
        one: that metric, of one answer against its references.
        score: answers, the references of each, their test sets and a splitter of sentences to scores.
        more: keys of the catalogue that are measured too.
    """

    tables: tuple[MetricTable, ...]
    one: Callable[[str, Sequence[str]], float]
    score: Callable[[Sequence[str], Sequence[Sequence[str]], Sequence[str | None], Splitter], Scored]
    more: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Keys of the catalogue that can be measured; the first one decides."""
        return (*(name for table in self.tables for name in table.names), *self.more)


def _short_answers(
    answers: Sequence[str], references: Sequence[Sequence[str]], test_sets: Sequence[str | None], splitter: Splitter
) -> Scored:
    pairs = list(zip(answers, references, strict=True))
    return Scored(
        {
            "rouge_l": [rouge_l(answer, texts, stemming=True) for answer, texts in pairs],
            "exact_match": [exact_match(answer, texts) for answer, texts in pairs],
        }
    )


def _summaries(
    answers: Sequence[str], references: Sequence[Sequence[str]], test_sets: Sequence[str | None], splitter: Splitter
) -> Scored:
    from pipestill.metrics.summaries import score_summaries

    languages = [test_set or ENGLISH for test_set in test_sets]
    scores = score_summaries(answers, references, languages, splitter=splitter)
    corpus = {name: list(metric.counts) for name, metric in scores.corpus.items()}
    return Scored({**scores.answers, **corpus}, scores.signatures)


SHORT_ANSWERS = Measure((MetricTable(("rouge_l", "exact_match")),), partial(rouge_l, stemming=True), _short_answers)
SUMMARIES = Measure(  # in any language, and the stemmer is for English; test sets are languages
    (
        MetricTable(("rouge_l", "rouge_1", "rouge_2", "rouge_lsum", "bleu", "chrf", "bertscore", "exact_match")),
        MetricTable(
            ("rouge_l_unicode", "rouge_1_unicode", "rouge_2_unicode", "rouge_lsum_unicode"),
            "ROUGE by Unicode tokens",
            " (Unicode)",
        ),
    ),
    rouge_l,
    _summaries,
    more=(
        *(f"rouge_lsum{tokens}_{part}" for tokens in ("", "_unicode") for part in ("precision", "recall")),
        *("bleu_nltk", "bertscore_precision", "bertscore_recall", "perplexity", "token_accuracy"),
    ),
)
