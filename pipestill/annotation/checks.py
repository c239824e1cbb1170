"""Checks that decide if an answer can be used."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.failures import CallFailed, Kind
from pipestill.annotation.redaction import repeats
from pipestill.annotation.thoughts import without_thoughts
from pipestill.settings.annotation import StepConfig
from pipestill.settings.json_schema import place_of_fault
from pipestill.text.patterns import occurs

MOST_BYTES = 256  # of a token; the longest ones of large vocabularies are runs of 128 blanks or signs
FENCES = ("```", "~~~")
LANGUAGE = re.compile(r"\s*[A-Za-z]\w*\s*")  # after an opening fence
REFUSAL = re.compile(
    r"\W*(?:(?:i[’']m|i am|we are|we[’']re) (?:very |so )?(?:sorry|afraid|unable|not able)|sorry\b|(?:i|we|my) apolog"
    r"|unfortunately\b|as an ai\b|(?:i|we) (?:can(?:no|[’'])t|can not|won[’']t|will not|must decline|decline to)\b)",
    re.IGNORECASE,
)


def checked(
    answer: Answer, step: StepConfig, accept_truncated: bool, max_tokens: int, key: str | None = None
) -> Answer:
    """The answer as it is kept, unless it is empty, cut, withheld, or not what ``step`` asks for.

    Args:
        answer: the answer.
        step: the question.
        accept_truncated: take an answer that was cut at ``max_tokens``.
        max_tokens: where it had to be cut.
        key: the provider's key, which no answer may repeat.

    Raises:
        CallFailed: with the answer, which is paid for all the same.
    """

    def failed(kind: Kind, reason: str, message: str) -> CallFailed:
        return CallFailed(kind, reason, message, charged=True, answer=answer)

    if answer.finish_reason == "content_filter":
        raise failed("permanent", "moderation", "the provider's filter withheld the answer")
    if answer.finish_reason == "refusal":
        raise failed("transient", "refusal", "the model refuses to answer")
    if answer.finish_reason == "tool_calls":
        raise failed("transient", "tool_call", "the model calls a tool, and there is none")
    if answer.finish_reason == "length" and not (accept_truncated and answer.text):
        raise failed("transient", "truncated", "the answer was cut at max_tokens")
    if not answer.text:
        raise failed("transient", "empty", "the answer is empty, or holds nothing but thoughts")
    if repeats(answer.text, key):
        raise failed("transient", "invalid", "the answer repeats the key")
    text = unfenced(answer.text, step)
    if problem := problem_with(text, step, max_tokens):
        raise failed("transient", "refusal" if REFUSAL.match(text) else "invalid", problem)
    return replace(answer, text=text)


def kept_text(row: Mapping[str, Any] | None, step: StepConfig, accept_truncated: bool) -> str | None:
    """The answer in a row of the ledger; None if it is none under settings and checks that may have changed since."""
    if row is None or (row["finish_reason"] == "length" and not accept_truncated):
        return None
    text = unfenced(without_thoughts(row["text"]), step)
    return None if not text or problem_with(text, step, row["max_tokens"]) else text


def unfenced(text: str, step: StepConfig) -> str:
    """``text``; where JSON is asked for and stands in a fence, that JSON."""
    if step.json_schema is None or _json(text) is not None:
        return text
    for fence in FENCES:
        _, found, rest = text.partition(fence)
        inner = rest.rpartition(fence)[0] or rest
        inner = LANGUAGE.sub("", inner, count=1) if LANGUAGE.match(inner) else inner
        if found and _json(inner) is not None:
            return inner.strip()
    return text


def _json(text: str) -> tuple[Any] | None:
    """The value of ``text``, in a tuple; None if it is no JSON."""
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):  # the latter: brackets without end
        return None


def problem_with(text: str, step: StepConfig, max_tokens: int) -> str | None:
    """The first problem of ``text`` as an answer to ``step``, in a few words; None if it passes."""
    if len(text.encode()) > MOST_BYTES * max_tokens:
        return f"the answer has {len(text.encode())} bytes, more than {max_tokens} tokens can have"
    if len(text) < step.min_chars:
        return f"the answer has {len(text)} characters, fewer than {step.min_chars}"
    if step.max_chars is not None and len(text) > step.max_chars:
        return f"the answer has {len(text)} characters, more than {step.max_chars}"
    if step.pattern is not None and not occurs(step.pattern, text):
        return "the answer does not match `pattern`"
    if step.json_schema is not None:
        value = _json(text)
        if value is None:
            return "the answer is not JSON"
        try:
            place = place_of_fault(value[0], step.json_schema)
        except RecursionError:
            return "the answer is not JSON"
        if place is not None:
            return f"the answer does not fit `json_schema` at {place}"
    return None
