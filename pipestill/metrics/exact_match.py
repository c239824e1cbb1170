"""Exact match up to case, ASCII punctuation and spaces."""

import string
from collections.abc import Sequence

from pipestill.errors import UserError
from pipestill.io.normal import clean

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 where the answer equals one of its references, else 0.

    Raises:
        UserError: there is no reference.
    """
    if not references:
        raise UserError("an answer without a reference cannot be scored: give `references` at least one text")
    return float(_normalise(prediction) in map(_normalise, references))


def _normalise(text: str) -> str:
    return " ".join(clean(text).lower().translate(_PUNCTUATION).split())
