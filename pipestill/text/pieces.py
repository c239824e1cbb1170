"""Texts that are being written: how much of one is certain, whatever comes next."""

import unicodedata


def composed(text: str) -> str:
    """The beginning of a text that no later character can change: behind its last letter a mark could come."""
    place = len(text) - 1
    while place > 0 and unicodedata.combining(text[place]):
        place -= 1
    return text[: max(place, 0)]


def before(text: str, mark: str) -> str:
    """The beginning of a text up to ``mark``, or to what can become it at the end."""
    text, found, _ = text.partition(mark) if mark else (text, "", "")
    if found:
        return text
    kept = next((size for size in range(min(len(mark), len(text)), 0, -1) if mark.startswith(text[-size:])), 0)
    return text[: len(text) - kept]
