"""What business papers say: drawn facts, as their gold objects hold them."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from pipestill.tasks import lexicon

KINDS = ("invoice", "receipt", "order")
CURRENCIES = {"USD": 5, "EUR": 5, "GBP": 3, "CHF": 2, "JPY": 2}  # and how often each is drawn
WITHOUT = {"number": 0.1, "date": 0.08, "buyer": 0.3}  # shares of papers that do not say it
ITEMS = {0: 1, 1: 5, 2: 4}  # numbers of items, and how often each is drawn
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Item:
    """A line of a paper: so many of a product at a price each."""

    product: str
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Price of all of them."""
        return self.quantity * self.price


@dataclass(frozen=True)
class Facts:
    """What one paper says; none for what it does not.

    Attributes:
        lump: sum of a paper without items.
    """

    kind: str
    number: str | None
    date: date | None
    vendor: str
    buyer: str | None
    currency: str
    items: tuple[Item, ...]
    lump: Decimal

    @property
    def total(self) -> Decimal:
        """Sum of the items, where there are some."""
        return sum((item.amount for item in self.items), Decimal(0)) if self.items else self.lump

    def gold(self) -> dict[str, Any]:
        """The object that is right, by ``resources/schemas/idp_schema.json``."""
        return {
            "kind": self.kind,
            "number": self.number,
            "date": self.date and self.date.isoformat(),
            "vendor": self.vendor,
            "buyer": self.buyer,
            "currency": self.currency,
            "total": number(self.total),
            "items": [
                {"product": item.product, "quantity": item.quantity, "price": number(item.price)} for item in self.items
            ],
        }


def number(value: Decimal) -> int | float:
    """A number of JSON: whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def draw(rng: Random) -> Facts:
    """A paper."""
    currency = rng.choices([*CURRENCIES], [*CURRENCIES.values()])[0]
    says = {name: rng.random() >= share for name, share in WITHOUT.items()}
    buyer = lexicon.person(rng) if rng.random() < 0.5 else lexicon.company(rng)
    day = draw_date(rng)
    products = rng.sample(lexicon.PRODUCTS, rng.choices([*ITEMS], [*ITEMS.values()])[0])
    return Facts(
        kind=rng.choice(KINDS),
        number=lexicon.code(rng) if says["number"] else None,
        date=day if says["date"] else None,
        vendor=lexicon.company(rng),
        buyer=buyer if says["buyer"] else None,
        currency=currency,
        items=tuple(Item(product, rng.randint(1, 30), _price(rng, currency)) for product in products),
        lump=_price(rng, currency),
    )


def draw_date(rng: Random) -> date:
    """A day of some years."""
    return date(rng.randint(2015, 2029), rng.randint(1, 12), rng.randint(1, 28))


def _price(rng: Random, currency: str) -> Decimal:
    """Whole for yen and for a quarter of the others."""
    value = lexicon.amount(rng, 1.0, 200.0)
    if currency == "JPY" or rng.random() < 0.25:
        return Decimal(max(1, round(value)) * (10 if currency == "JPY" else 1))
    return Decimal(str(value)).quantize(CENT)
