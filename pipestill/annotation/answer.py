"""The answer of a model, with the facts that the server gives about it."""

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The text that a model wrote, with its tokens, cost and time.

    Attributes:
        text: the message, without white space around it.
        finish_reason: why it ended: ``stop``, ``length`` (cut at ``max_tokens``), ``content_filter``, ``error``, ...
        model: the model that answered, as the server names it.
        provider: the company that answered, if the server says so.
        generation: the server's id of the call.
        usage: the server's count of tokens and money, as it came.
        latency_s: seconds from request to answer.
        error: the server's report of an error while it wrote the answer.
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
        """Dollars that the server reports; None unless they are an amount."""
        cost = self.usage.get("cost")
        return float(cost) if _is_count(cost, int | float) else None

    @property
    def tokens(self) -> dict[str, int]:
        """``input_tokens`` and ``output_tokens``, as far as the server counts them."""
        names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
        found = {ours: self.usage.get(theirs) for ours, theirs in names.items()}
        return {name: count for name, count in found.items() if _is_count(count, int)}


def _is_count(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max
