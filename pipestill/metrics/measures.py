"""Measures: which metrics a task's generated answers are scored by, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.rouge import rouge_l
from pipestill.text.sentences import Splitter

Columns = dict[str, list[Any]]  # of each answer, by metric: a number, or what it adds to a metric of all answers


@dataclass(frozen=True)
class Scored:
    """Scores of a set of answers.

    Attributes:
        columns: by metric, in the order of the answers.
        signatures: how metrics were computed that can be in several ways.
    """

    columns: Columns
    signatures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """A way to score generated answers.

    Attributes:
        metrics: keys of the catalogue; the first one decides.
        one: the first metric of one answer against its references.
        score: answers, the references of each, their test sets and a splitter of sentences to scores.
    """

    metrics: tuple[str, ...]
    one: Callable[[str, Sequence[str]], float]
    score: Callable[[Sequence[str], Sequence[Sequence[str]], Sequence[str | None], Splitter], Scored]


def _short_answers(
    answers: Sequence[str], references: Sequence[Sequence[str]], test_sets: Sequence[str | None], splitter: Splitter
) -> Scored:
    pairs = list(zip(answers, references, strict=True))
    stemmed = [rouge_l(answer, texts, stemming=True) for answer, texts in pairs]
    return Scored({"rouge_l": stemmed, "exact_match": [exact_match(answer, texts) for answer, texts in pairs]})


def _summaries(
    answers: Sequence[str], references: Sequence[Sequence[str]], test_sets: Sequence[str | None], splitter: Splitter
) -> Scored:
    from pipestill.metrics.summaries import score_summaries

    scores = score_summaries(answers, references, test_sets, splitter=splitter)
    corpus = {name: list(metric.counts) for name, metric in scores.corpus.items()}
    return Scored({**scores.answers, **corpus}, scores.signatures)


SHORT_ANSWERS = Measure(("rouge_l", "exact_match"), partial(rouge_l, stemming=True), _short_answers)
SUMMARIES = Measure(  # in any language, and the stemmer is for English; test sets are languages
    (
        *("rouge_l", "rouge_1", "rouge_2", "rouge_lsum", "bleu", "chrf", "bertscore", "exact_match"),
        *("rouge_l_unicode", "rouge_1_unicode", "rouge_2_unicode", "rouge_lsum_unicode"),
        *("perplexity", "token_accuracy"),
    ),
    rouge_l,
    _summaries,
)
