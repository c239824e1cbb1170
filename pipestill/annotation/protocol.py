"""Reads replies of status 200: an answer, or a failure in place of one. No server is trusted to keep the protocol."""

import json
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.failures import CallFailed, by_status
from pipestill.annotation.redaction import redact
from pipestill.io.files import dump_compact
from pipestill.io.normal import clean

BEGINNING = 40  # characters of a body that is not an answer: enough to recognise it, and nothing that a model wrote


def read_answer(text: str, latency_s: float, key: str | None) -> Answer:
    """Read the answer from a body of status 200.

    Args:
        text: the body.
        latency_s: seconds from request to answer.
        key: the provider's key, to be kept out of messages.

    Raises:
        CallFailed: the body does not hold a chat completion, or holds an error in place of one.
    """
    body = _parse(text, key)
    choices = body.get("choices")
    if not choices:
        raise _hidden_error(body.get("error"), key)
    choice = choices[0] if isinstance(choices, list) else None
    message = (choice.get("message") or {}) if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
        raise _bad_answer("an answer whose content is not text")
    usage, error = body.get("usage"), choice.get("error")
    return Answer(
        text=clean(message.get("content") or "").strip(),
        finish_reason="error" if error else _name(choice.get("finish_reason")),
        model=_name(body.get("model")),
        provider=_name(body.get("provider")),
        generation=_name(body.get("id")),
        usage={name: value for name, value in usage.items() if value is not None} if isinstance(usage, dict) else {},
        latency_s=round(latency_s, 3),
        error=error,
    )


def _parse(text: str, key: str | None) -> dict[str, Any]:
    try:
        body = json.loads(text)
        dump_compact(body).encode()  # the ledger can hold it: no NaN, no half characters
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _bad_answer(f"an answer that is not a JSON object: {redact(text, key)[:BEGINNING]}")
    return body


def _hidden_error(error: Any, key: str | None) -> CallFailed:
    """The failure behind the ``error`` that a body has in place of choices."""
    if error is None:
        return _bad_answer("an answer without choices")
    code = error.get("code") if isinstance(error, dict) else None
    message = redact(str(error.get("message", error) if isinstance(error, dict) else error), key)
    if str(code).isdecimal():
        return by_status(int(code), message, {}, error, charged=True)
    return CallFailed("transient", "server_error", message, charged=True)


def _bad_answer(message: str) -> CallFailed:
    return CallFailed("transient", "bad_answer", message, charged=True)


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None
