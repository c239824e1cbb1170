"""Normal forms of text: one in which it comes in, at every door, and one by which texts are compared."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

# Nobody sees them, no script needs them: soft hyphen, zero-width space, word joiner, byte order mark. What joins
# letters in some scripts (U+200C, U+200D) stays, and so does the no-break space.
UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """The same text in the one spelling that every text has here: NFC, ``\\n`` between lines, nothing ``UNSEEN``.

    Spaces around a text are left to those who know what it is.
    """
    if text.isascii() and "\r" not in text:
        return text
    text = text.translate(UNSEEN).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text)


def cleaned(value: Any) -> Any:
    """A value of JSON with every text in it, and every key, :func:`clean`.

    Raises:
        ValueError: two keys of an object are one.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {clean(key): cleaned(each) for key, each in value.items()}
    if len(found) < len(value):
        raise ValueError("two keys are the same text")
    return found


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a value of JSON, but for keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)


def normalise(text: str) -> str:
    """Text as splits are compared by: :func:`clean`, NFKC, lower case, single spaces."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", clean(text))).strip().casefold()
