"""What comes back with status 200: an answer, or a failure in place of one. No server is trusted with the protocol."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from pipestill.annotation.failures import CallFailed, by_status
from pipestill.annotation.redaction import redact
from pipestill.io.files import dump_compact

BEGINNING = 40  # characters of a body that is no answer: enough to know it by, and nothing that a model wrote


@dataclass(frozen=True)
class Answer:
    """What a model wrote, and what it took.

    Attributes:
        text: the message, without white space around it.
        finish_reason: ``stop``, ``length`` (cut at ``max_tokens``), ``content_filter``, ``error``, ...
        model: the model that answered, as the server names it.
        provider: the company that answered, where the server tells.
        generation: the server's id of the call.
        usage: the server's count of tokens and money, as it came.
        latency_s: seconds from request to answer.
        error: what went wrong while the answer was written.
    """

    text: str
    finish_reason: str | None
    model: str | None
    provider: str | None
    generation: str | None
    usage: dict[str, Any]
    latency_s: float
    error: Any = None

    @property
    def cost(self) -> float | None:
        """Dollars that the server reports, if what it reports can be an amount."""
        cost = self.usage.get("cost")
        return float(cost) if _is_count(cost, int | float) else None

    @property
    def tokens(self) -> dict[str, int]:
        """``input_tokens`` and ``output_tokens``, as far as the server counts them."""
        names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
        found = {ours: self.usage.get(theirs) for ours, theirs in names.items()}
        return {name: count for name, count in found.items() if _is_count(count, int)}


def read_answer(text: str, latency_s: float, key: str | None) -> Answer:
    """The answer in a body of status 200.

    Args:
        text: the body.
        latency_s: seconds from request to answer.
        key: the provider's key, to be kept out of messages.

    Raises:
        CallFailed: it holds no chat completion, or an error in place of one.
    """
    body = _parse(text, key)
    choices = body.get("choices")
    if not choices:
        raise _hidden_error(body.get("error"), key)
    choice = choices[0] if isinstance(choices, list) else None
    message = (choice.get("message") or {}) if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
        raise _bad_answer("an answer whose content is no text")
    usage, error = body.get("usage"), choice.get("error")
    return Answer(
        text=(message.get("content") or "").strip(),
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
        raise _bad_answer(f"an answer that is no JSON object: {redact(text, key)[:BEGINNING]}")
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


def _is_count(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max
