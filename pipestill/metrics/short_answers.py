"""Scores of short English answers: ROUGE-L with stemming, and exact match."""

from collections.abc import Sequence

from pipestill.io.normal import clean
from pipestill.metrics.exact_match import exact_match
from pipestill.metrics.measures import Scored
from pipestill.metrics.rouge import rouge_l
from pipestill.text.sentences import Splitter


def one(answer: str, references: Sequence[str]) -> float:
    """ROUGE-L of an answer, in [0, 100]."""
    return rouge_l(clean(answer), [*map(clean, references)], stemming=True)


def score(
    answers: Sequence[str], references: Sequence[Sequence[str]], test_sets: Sequence[str | None], splitter: Splitter
) -> Scored:
    """Scores of answers; their test sets and sentences do not count.

    Args:
        answers: texts.
        references: acceptable answers of each.
        test_sets: of each.
        splitter: of sentences.
    """
    pairs = list(zip(answers, references, strict=True))
    return Scored(
        {
            "rouge_l": [one(answer, texts) for answer, texts in pairs],
            "exact_match": [exact_match(answer, texts) for answer, texts in pairs],
        }
    )
