"""Words for ROUGE: the tokens of the rouge-score library, and runs of Unicode letters and digits."""

import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

Tokens = tuple[str, ...]


@lru_cache(maxsize=50_000)  # references come again with every run, and greedy answers often
def library_tokens(text: str, stemming: bool = False) -> Tokens:
    """Tokens of the rouge-score library: runs of a-z and 0-9; ``stemming`` is Porter's, for English.

    Any other letter is a space to it: "año" becomes "a" and "o".
    """
    tokenize, stemmer = _library()
    return tuple(tokenize(text, stemmer if stemming else None))


@lru_cache(maxsize=50_000)
def unicode_tokens(text: str) -> Tokens:
    """Runs of letters (with their combining marks) and digits of any script, lower case, NFC; no stemming."""
    text = unicodedata.normalize("NFC", text).lower()
    return tuple("".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in text).split())


class _Stemmer:
    """Porter's, which remembers: a stem takes some 20 microseconds, and texts repeat their words."""

    def __init__(self, stem: Callable[[str], str]):
        self.stem = lru_cache(maxsize=100_000)(stem)


@cache
def _library() -> tuple[Callable, _Stemmer]:
    from nltk.stem.porter import PorterStemmer
    from rouge_score.tokenize import tokenize

    return tokenize, _Stemmer(PorterStemmer().stem)
