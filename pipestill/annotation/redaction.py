"""Keys come from the environment and are kept out of every file and message."""

import os
import re

from pipestill.errors import UserError

_SECRETS = re.compile(r"\bsk-[A-Za-z0-9_*.-]{6,}|\b[Bb]earer\s+[^\s\"',}]+")
HIDDEN = "[redacted]"
LONGEST_MESSAGE = 500  # characters of a server's message that are kept


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


def redact(text: str, key: str | None) -> str:
    """``text`` in one line, shortened, without ``key`` and without anything that looks like one."""
    if key:
        text = text.replace(key, HIDDEN)
    return _SECRETS.sub(HIDDEN, " ".join(text.split()))[:LONGEST_MESSAGE]
