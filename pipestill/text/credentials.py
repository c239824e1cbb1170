"""Credentials in texts: keys of known makers, and what addresses carry to log in."""

import re
from typing import Any

HIDDEN = "[redacted]"

_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    + "|".join(
        (
            r"sk-[A-Za-z0-9_-]{16,}",  # OpenAI, OpenRouter, Anthropic, DeepSeek
            r"(?:hf|gh[oprsu]|glpat|gsk|r8|fw|npm)[_-][A-Za-z0-9]{16,}",  # hubs, GitHub, GitLab, Groq, Replicate, ...
            r"github_pat_[A-Za-z0-9_]{16,}",
            r"(?:xai|pplx|nvapi|csk|tgp_v1|dop_v1|pypi)[_-][A-Za-z0-9_-]{20,}",
            r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
            r"AIza[A-Za-z0-9_-]{16,}",  # Google
            r"ya29\.[A-Za-z0-9_-]{16,}",
            r"A[KS]IA(?=[A-Z]*[0-9])[A-Z0-9]{12,}",  # Amazon
            r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}",  # Slack
            r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JSON web tokens
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        )
    )
    + ")"
)
_LOGIN = re.compile(r"([A-Za-z][\w+.-]*://)[^\s/?#@\"'<>]+@")
_SECRET_FIELD = re.compile(
    r"([?&;#](?:[\w.%-]*(?:token|secret|passw|pwd|signature|credential|auth(?!or)|api[_-]?key|access[_-]?key)[\w.%-]*"
    r"|key|sig|jwt)=)[^&;#\s\"'<>]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://\S*")


def has_key(text: str) -> bool:
    """True if ``text`` holds anything that looks like a secret key."""
    return _KEY.search(text) is not None


def has_login(address: str) -> bool:
    """True if an address carries a user name, a password, or a key or signature in its query."""
    return _LOGIN.search(address) is not None or _SECRET_FIELD.search(address) is not None


def hide(text: str) -> str:
    """``text`` without anything that looks like a key, and its addresses without what logs in."""
    return _SECRET_FIELD.sub(rf"\1{HIDDEN}", _LOGIN.sub(rf"\1{HIDDEN}@", _KEY.sub(HIDDEN, text)))


def public(address: str) -> str:
    """An address as it may be written anywhere: without user name, password, query and fragment."""
    return re.split("[?#]", _LOGIN.sub(r"\1", address), maxsplit=1)[0]


def publish(value: Any) -> Any:
    """``value``, of JSON, with every address in it as :func:`public` has it."""
    if isinstance(value, dict):
        return {key: publish(item) for key, item in value.items()}
    if isinstance(value, list):
        return [publish(item) for item in value]
    return public(value) if isinstance(value, str) and _ADDRESS.fullmatch(value) else value
