"""The answer of a model, with the facts that the server gives about it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The text that a model wrote, with its tokens, cost and time.

    Attributes:
        text: the message, without thoughts before it and white space around it.
        finish_reason: why it ended: ``stop``, ``length`` (cut at ``max_tokens``), ``content_filter``, ``refusal``,
            ``tool_calls``, ``error``, or a server's own word for a good end.
        model: the model that answered, as the server names it.
        provider: the company that answered, if the server says so.
        generation: the server's id of the call.
        usage: the server's count of tokens and money.
        latency_s: seconds from request to answer.
    """

    text: str
    finish_reason: str | None
    model: str | None
    provider: str | None
    generation: str | None
    usage: dict[str, Any]
    latency_s: float

    @property
    def cost(self) -> float | None:
        """Dollars that the server reports; None unless they are an amount.

        With a key of one's own at the company that answers, the money is spent there, and is no part of the price that
        is paid to the one between.
        """
        own, upstream = _amount(self.usage.get("cost")), _upstream(self.usage.get("cost_details"))
        if own is None or upstream is None:
            return upstream if own is None else own
        return max(own, upstream) if self.usage.get("is_byok") is False else own + upstream

    @property
    def tokens(self) -> dict[str, int]:
        """``input_tokens`` and ``output_tokens``, as far as the server counts them.

        Some count thoughts in the total only. A count of none, where there is a prompt or an answer, is no count.
        """
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        prompt, completion, total = (
            value if isinstance(value, int) and _amount(value) is not None else None
            for value in map(self.usage.get, names)
        )
        if prompt and completion is not None and total is not None:
            completion = max(completion, total - prompt)
        counts = {"input_tokens": prompt or None, "output_tokens": completion or (None if self.text else completion)}
        return {name: count for name, count in counts.items() if count is not None}


def _upstream(details: Any) -> float | None:
    """Dollars at the company that answered, whole or in parts."""
    if not isinstance(details, Mapping):
        return None
    whole = _amount(details.get("upstream_inference_cost"))
    parts = [
        _amount(details.get(f"upstream_inference_{kind}_cost")) for kind in ("prompt", "input", "completions", "output")
    ]
    known = [part for part in parts if part is not None]
    return max([*([] if whole is None else [whole]), *([sum(known)] if known else [])], default=None)


def _amount(value: Any) -> float | None:
    """``value`` if it is a number that can be paid or counted."""
    valid = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max
    return float(value) if valid else None
