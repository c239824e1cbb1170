"""The cost of a call, and the source of that figure."""

from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.settings.annotation import PriceConfig


def price_of(price: PriceConfig | None, input_tokens: int, output_tokens: int) -> float | None:
    """Dollars for so many tokens, if there is a price."""
    return (input_tokens * price.input + output_tokens * price.output) / 1e6 if price else None


def cost_of(answer: Answer | None, charged: bool, most: float, price: PriceConfig | None) -> dict[str, Any]:
    """The cost of a call: ``cost`` in dollars, ``cost_source``, and the tokens if the server counts them.

    Sources, best first: ``free`` (refused before any work), ``reported`` by the provider, ``estimated`` from tokens and
    price, ``reserved`` (the most it can have cost), ``unknown`` (without a price).

    Args:
        answer: the answer, if one came back.
        charged: whether the call may have cost something.
        most: dollars that were reserved for it.
        price: of the model.
    """
    if not charged:
        return {"cost": 0.0, "cost_source": "free"}
    tokens = answer.tokens if answer else {}
    estimate = price_of(price, **tokens) if len(tokens) == 2 else None
    if answer is not None and answer.cost is not None:
        cost, source = answer.cost, "reported"
    elif estimate is not None:
        cost, source = estimate, "estimated"
    else:
        cost, source = most, "reserved" if price else "unknown"
    return {"cost": cost, "cost_source": source, **tokens}
