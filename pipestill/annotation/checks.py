"""Checks that decide if an answer can be used."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.annotation.failures import CallFailed
from pipestill.annotation.redaction import redact
from pipestill.settings.annotation import StepConfig


def check_answer(answer: Answer, step: StepConfig, accept_truncated: bool, key: str | None = None) -> None:
    """Refuse an answer that is empty, cut, filtered, broken off, or not what ``step`` asks for.

    Args:
        answer: the answer.
        step: the question.
        accept_truncated: take an answer that was cut at ``max_tokens``.
        key: the provider's key, to be kept out of messages.

    Raises:
        CallFailed: with the answer, which is paid for all the same.
    """

    def failed(kind: str, reason: str, message: str) -> CallFailed:
        return CallFailed(kind, reason, message, charged=True, answer=answer)

    if answer.finish_reason == "error":
        raise failed("transient", "server_error", redact(f"the answer broke off: {answer.error}", key))
    if answer.finish_reason == "content_filter":
        raise failed("permanent", "moderation", "the provider's filter withheld the answer")
    if answer.finish_reason == "length" and not (accept_truncated and answer.text):
        raise failed("transient", "truncated", "the answer was cut at max_tokens")
    if not answer.text:
        raise failed("transient", "empty", "the answer is empty")
    if problem := problem_with(answer.text, step):
        raise failed("transient", "invalid", problem)


def is_usable(row: Mapping[str, Any] | None, step: StepConfig, accept_truncated: bool) -> bool:
    """True if a row of the ledger is still an answer under settings that may have changed since."""
    if row is None or (row["finish_reason"] == "length" and not accept_truncated):
        return False
    return problem_with(row["text"], step) is None


def problem_with(text: str, step: StepConfig) -> str | None:
    """The first problem of ``text`` as an answer to ``step``, in a few words; None if it passes."""
    if len(text) < step.min_chars:
        return f"the answer has {len(text)} characters, fewer than {step.min_chars}"
    if step.max_chars is not None and len(text) > step.max_chars:
        return f"the answer has {len(text)} characters, more than {step.max_chars}"
    if step.pattern is not None and not re.search(step.pattern, text):
        return "the answer does not match `pattern`"
    if step.json_schema is not None:
        from jsonschema import ValidationError, validate

        try:
            validate(json.loads(text), step.json_schema)
        except (ValueError, RecursionError):  # the latter: brackets without end
            return "the answer is not JSON"
        except ValidationError as error:
            return f"the answer does not fit `json_schema` at {error.json_path}"
    return None
