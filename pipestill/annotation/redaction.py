"""Keys come from the environment and are kept out of every file and message."""

import os
import re

from pipestill.errors import UserError
from pipestill.text.credentials import HIDDEN, hide

_SHOWN_IN_PART = re.compile(r"\bsk-[A-Za-z0-9_*.-]{6,}|\b[Bb]earer\s+[^\s\"',}]+|\bBasic\s+[A-Za-z0-9+/=]{8,}")
LONGEST_MESSAGE = 500  # characters of a server's message that are kept
TELLING = 20  # characters by which a longer key is recognised


def read_key(name: str | None) -> str | None:
    """The key in the environment variable ``name``; None if no key is needed.

    Raises:
        UserError: the variable is empty, or its value cannot be a key.
    """
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise UserError(f"the environment variable {name} is not set: put the provider's key there")
    if len(key) < 8 or not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(f"the environment variable {name} does not hold a key: it is too short or has odd characters")
    return key


def repeats(text: str, key: str | None) -> bool:
    """True if ``text`` holds ``key``, or the beginning of it that tells it from others."""
    return key is not None and key[:TELLING] in text


def redact(text: str, key: str | None) -> str:
    """``text`` in one line, shortened, without ``key`` and without anything that looks like one."""
    if key:
        text = text.replace(key, HIDDEN).replace(key[:TELLING], HIDDEN)
    return _SHOWN_IN_PART.sub(HIDDEN, hide(" ".join(text.split())))[:LONGEST_MESSAGE]
