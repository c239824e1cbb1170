"""ROUGE-L with the tokens of the rouge-score library, and its longest common subsequence in bit operations."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache

from pipestill.errors import UserError
from pipestill.imports import without


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L F-measure (0..100) with Porter stemming, the highest over the references.

    Equal to the library's ``RougeScorer(["rougeL"], use_stemmer=True)``; an empty answer scores 0.

    Raises:
        UserError: there is no reference.
    """
    if not references:
        raise UserError("an answer without a reference cannot be scored: give `references` at least one text")
    return max(_f_measure(_tokens(prediction), _tokens(reference)) for reference in references)


def _f_measure(answer: tuple[str, ...], reference: tuple[str, ...]) -> float:
    """2PR / (P + R) in percent, where P and R are the common subsequence's shares of the two texts."""
    return 200 * common_subsequence(answer, reference) / (len(answer) + len(reference)) if answer and reference else 0.0


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).

    Bit i of ``row`` is 0 where a column of the usual table grows from i to i + 1; an integer holds all of ``a``.
    """
    places: dict[str, int] = {}
    for index, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << index
    row = whole = (1 << len(a)) - 1
    for token in b:
        matches = row & places.get(token, 0)
        row = ((row + matches) | (row - matches)) & whole
    return len(a) - row.bit_count()


@lru_cache(maxsize=50_000)  # references come again with every run, and greedy answers often
def _tokens(text: str) -> tuple[str, ...]:
    tokenize, stemmer = _library()
    return tuple(tokenize(text, stemmer))


class _Stemmer:
    """Porter's, which remembers: a stem takes some 20 microseconds, and texts repeat their words."""

    def __init__(self, stem: Callable[[str], str]):
        self.stem = lru_cache(maxsize=100_000)(stem)


@cache
def _library() -> tuple[Callable, _Stemmer]:
    with without("sklearn", "scipy", "pandas", "torch", "matplotlib"):  # which nltk looks for
        from nltk.stem.porter import PorterStemmer
    from rouge_score.tokenize import tokenize

    return tokenize, _Stemmer(PorterStemmer().stem)
