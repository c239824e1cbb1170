"""The cost of a call, and the source of that figure."""

from collections.abc import Mapping
from typing import Any

from pipestill.annotation.answer import Answer
from pipestill.settings.annotation import PriceConfig


def price_of(price: PriceConfig | None, input_tokens: int, output_tokens: int) -> float | None:
    """Dollars for so many tokens, if there is a price."""
    return (input_tokens * price.input + output_tokens * price.output) / 1e6 if price else None


def cost_of(answer: Answer | None, charged: bool, most: float, price: PriceConfig | None) -> dict[str, Any]:
    """The cost of a call: ``cost`` in dollars, ``cost_source``, and the tokens if the server counts them.

    Sources: ``free`` (refused before any work), ``reported`` by the provider, ``estimated`` from tokens and price where
    the report is lower or there is none, ``reserved`` (the most it can have cost) where nobody says what was used, and
    ``unknown`` (without a price).

    Args:
        answer: the answer, if one came back.
        charged: whether the call may have cost something.
        most: dollars that were reserved for it.
        price: of the model.
    """
    if not charged:
        return {"cost": 0.0, "cost_source": "free"}
    tokens = answer.tokens if answer else {}
    figures = {
        "reported": answer.cost if answer else None,
        "estimated": price_of(price, **tokens) if len(tokens) == 2 else None,
    }
    known = {source: cost for source, cost in figures.items() if cost is not None}
    if not known:
        known = {"reserved" if price else "unknown": most}
    elif price and known == {"reported": 0.0}:  # though nobody knows what was used
        known = {"reported": 0.0, "reserved": most}
    source = max(known, key=lambda name: known[name])
    return {"cost": known[source], "cost_source": source, **tokens}


def kept_cost(row: Mapping[str, Any], price: PriceConfig | None) -> float:
    """Dollars that an answer in the ledger has cost; one that does not say it counts as long as it could be."""
    if "cost" in row:
        return row["cost"]
    answer = Answer(row["text"], row["finish_reason"], None, None, None, row["usage"], 0.0)
    return cost_of(answer, True, price_of(price, 0, row["max_tokens"]) or 0.0, price)["cost"]
