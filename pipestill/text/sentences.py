"""Splitting text into sentences, by the rules of its language."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Literal, get_args

from pipestill.errors import UserError

Splitter = Literal["sentencex", "punkt"]
SPLITTERS: tuple[Splitter, ...] = get_args(Splitter)
PUNKT_NAMES = {"en": "english", "es": "spanish", "fr": "french", "pt": "portuguese"}


def split_sentences(text: str, language: str, splitter: Splitter = "sentencex") -> list[str]:
    """The sentences of ``text``, without the spaces around them; a newline ends a sentence too.

    Args:
        text: any text.
        language: ISO 639-1 code.
        splitter: ``sentencex``, which needs no data, or ``punkt``, the trained models of nltk's ``punkt_tab``.

    Raises:
        UserError: ``punkt`` has no model of the language, or its data are not on this machine.
    """
    split = _splitter(splitter, language)
    return [sentence for line in text.splitlines() for part in split(line) if (sentence := part.strip())]


def signature(splitter: Splitter) -> str:
    """Name and version of a splitter, as metrics that depend on it record it."""
    if splitter == "punkt":
        return f"punkt of nltk {version('nltk')}"
    return f"sentencex {version('sentencex')}"


@cache
def _splitter(name: Splitter, language: str) -> Callable[[str], list[str]]:
    if name == "sentencex":
        from sentencex import segment

        return lambda text: segment(language, text)
    if language not in PUNKT_NAMES:
        raise UserError(f"punkt has no model of the language `{language}`: set `splitter: sentencex` in its task")
    from nltk.tokenize import PunktTokenizer

    try:
        return PunktTokenizer(PUNKT_NAMES[language]).tokenize
    except LookupError:
        raise UserError(
            "the data of nltk's punkt_tab are not on this machine: run `python -m nltk.downloader punkt_tab`, or set "
            "`splitter: sentencex` in its task"
        ) from None
