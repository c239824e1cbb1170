"""Estimates the requests, tokens and dollars of a run before anything is sent."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipestill.annotation.checks import kept_text
from pipestill.annotation.pricing import price_of
from pipestill.annotation.request import CHARS_PER_TOKEN, make_request
from pipestill.io.records import Record
from pipestill.settings.annotation import AnnotationConfig


def estimate(
    settings: AnnotationConfig,
    shared: Mapping[str, Any],
    records: Iterable[Record],
    answers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Requests, tokens and dollars that ``records`` would take.

    Tokens of prompts are estimated as a quarter of their characters. Every answer, also one that a later prompt
    repeats, is assumed to be as long as allowed, so tokens and dollars are overestimates; retries are not counted.
    """
    waiting, kept, count = {}, set(), 0
    for record in records:
        values, count = record.texts, count + 1
        for step in settings.steps:
            request = make_request(step, values, shared)
            text = kept_text(answers.get(request.key), step, settings.on_truncation == "accept")
            if text is not None:
                values[step.out] = text
                kept.add(request.key)
            else:
                values[step.out] = " " * (CHARS_PER_TOKEN * step.max_tokens)
                waiting[request.key] = request
    tokens = {
        "input_tokens": sum(request.estimated_tokens for request in waiting.values()),
        "output_tokens": sum(request.max_tokens for request in waiting.values()),
    }
    dollars = price_of(settings.price, **tokens)
    return {"records": count, "in_ledger": len(kept), "requests": len(waiting), **tokens, "dollars": dollars}
