"""Reads replies of status 200: an answer, or a failure in place of one. No server is trusted to keep the protocol."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.failures import CallFailed, by_status
from pipestill.annotation.redaction import redact
from pipestill.annotation.thoughts import without_thoughts
from pipestill.io.files import dump_compact
from pipestill.io.normal import clean

BEGINNING = 40  # characters of a body that is not an answer: enough to recognise it, and nothing that a model wrote
LONGEST_NAME = 200  # characters of names that a server gives
ENDS = {  # other words for the ends of answers that are no good ends
    "length": ("max_tokens", "max_output_tokens", "max_length", "model_length", "model_context_window_exceeded"),
    "content_filter": ("safety", "recitation", "sensitive", "blocklist", "prohibited_content", "spii"),
    "refusal": ("refused",),
    "tool_calls": ("tool_call", "tool_use", "function_call", "malformed_function_call"),
    "error": ("abort", "aborted", "cancelled", "canceled", "failed", "interrupted", "insufficient_system_resource"),
}
PROTOCOL = {word: end for end, words in ENDS.items() for word in (end, *words)}
DETAILS = ("cost_details", "prompt_tokens_details", "completion_tokens_details")  # of a count
TEXTS, THOUGHTS = ("text", "output_text"), ("thinking", "reasoning", "redacted_thinking")  # kinds of parts


def read_answer(text: str, headers: Mapping[str, str], latency_s: float, key: str | None) -> Answer:
    """Read the answer from a body of status 200.

    Args:
        text: the body.
        headers: of the reply.
        latency_s: seconds from request to answer.
        key: the provider's key, to be kept out of messages.

    Raises:
        CallFailed: the body does not hold a chat completion, or holds an error, also beside one.
    """
    body = _parse(text, key)
    choices = body.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    message = _mapping(choice.get("message"))
    content, end = message.get("content"), _end(choice, message)
    answer = Answer(
        text=without_thoughts(clean(_text(content) or "")),
        finish_reason=end,
        model=_name(body.get("model"), key),
        provider=_name(body.get("provider"), key),
        generation=_name(body.get("id"), key),
        usage=_numbers(body.get("usage")),
        latency_s=round(latency_s, 3),
    )
    error = _error(body, choice, message)
    if error is not None or end == "error":
        raise _failure(error, headers, key, answer)
    if not choices:
        raise _bad_answer("an answer without choices", answer)
    readable = choice and isinstance(choice.get("message"), dict | None)
    if not readable or (_text(content) is None and end != "refusal"):
        raise _bad_answer("an answer whose content is not text", answer)
    return answer


def _parse(text: str, key: str | None) -> dict[str, Any]:
    try:
        body = json.loads(text)
        dump_compact(body).encode()  # the ledger can hold it: no NaN, no half characters
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _bad_answer(f"an answer that is not a JSON object: {redact(text, key)[:BEGINNING]}")
    return body


def _text(content: Any) -> str | None:
    """The text of a content, whole or in parts; None if it is something else. Thoughts are no part of it."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return None
    parts = [{"text": part} if isinstance(part, str) else _mapping(part) for part in content]
    said = [part for part in parts if part.get("type") not in THOUGHTS]
    texts = [part.get("text") for part in said if part.get("type", "text") in TEXTS]
    return "".join(texts) if len(texts) == len(said) and all(isinstance(text, str) for text in texts) else None


def _end(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str | None:
    """Why the answer ended, in the words of the protocol."""
    parts = message.get("content") if isinstance(message.get("content"), list) else []
    if message.get("refusal") or any(_mapping(part).get("type") == "refusal" for part in parts):
        return "refusal"
    if message.get("tool_calls") or message.get("function_call"):
        return "tool_calls"
    word = choice.get("finish_reason")
    return PROTOCOL.get(word.lower(), word[:LONGEST_NAME]) if isinstance(word, str) else None


def _error(body: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any]) -> Any:
    """What stands as an error anywhere in a body, if anything does."""
    if body.get("object") == "error":
        return body
    return next((error for part in (body, choice, message) if (error := part.get("error"))), None)


def _failure(error: Any, headers: Mapping[str, str], key: str | None, answer: Answer) -> CallFailed:
    """The failure behind an error that came with status 200."""
    facts = _mapping(error)
    said = facts.get("message", error) if error is not None else "no reason is given"
    message = redact(f"the answer broke off: {said}" if answer.text else str(said), key)
    if re.fullmatch("[45][0-9][0-9]", str(facts.get("code"))):
        failure = by_status(int(facts["code"]), message, headers, error, charged=True)
        failure.answer = answer
        return failure
    return CallFailed("transient", "server_error", message, charged=True, answer=answer)


def _bad_answer(message: str, answer: Answer | None = None) -> CallFailed:
    return CallFailed("transient", "bad_answer", message, charged=True, answer=answer)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any, key: str | None) -> str | None:
    return redact(value, key)[:LONGEST_NAME] if isinstance(value, str) else None


def _numbers(usage: Any) -> dict[str, Any]:
    """The numbers of a server's count, and of its details: nothing else of it is kept."""

    def numbers(counts: Mapping[str, Any]) -> dict[str, Any]:
        named = {name: value for name, value in counts.items() if name.isidentifier() and len(name) <= LONGEST_NAME}
        return {name: value for name, value in named.items() if isinstance(value, int | float)}

    counts = _mapping(usage)
    return numbers(counts) | {name: numbers(counts[name]) for name in DETAILS if isinstance(counts.get(name), dict)}
