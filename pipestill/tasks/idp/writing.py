"""Ways to write dates, numbers and money."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random

from pipestill.tasks.lexicon import MONTHS

DATES: Mapping[str, Callable[[date], str]] = {  # the day comes before the month wherever both are numbers
    "iso": lambda day: day.isoformat(),
    "dots": lambda day: f"{day:%d.%m.%Y}",
    "slashes": lambda day: f"{day.day}/{day.month:02d}/{day.year}",
    "long": lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year}",
    "american": lambda day: f"{MONTHS[day.month - 1]} {day.day}, {day.year}",
}
NUMBERS: Mapping[str, tuple[str, str]] = {  # marks of thousands and of decimals
    "plain": ("", "."),
    "comma": (",", "."),
    "point": (".", ","),
    "space": (" ", ","),
    "apostrophe": ("'", "."),
}
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "CHF": "Fr.", "JPY": "¥"}
OF_CURRENCY = {  # ways in which its amounts are written
    "USD": ("plain", "comma"),
    "EUR": ("plain", "comma", "point", "space"),
    "GBP": ("plain", "comma"),
    "CHF": ("plain", "apostrophe"),
    "JPY": ("plain", "comma"),
}
MONEY = ("{sign}{number}", "{code} {number}", "{number} {code}", "{number} {sign}")


@dataclass(frozen=True)
class Hand:
    """The ways of one paper: all its dates, and all its numbers, are written alike.

    Attributes:
        date: a key of ``DATES``.
        number: a key of ``NUMBERS``.
        money: one of ``MONEY``.
        currency: its code.
    """

    date: str
    number: str
    money: str
    currency: str

    def day(self, day: date) -> str:
        """A date."""
        return DATES[self.date](day)

    def amount(self, value: Decimal) -> str:
        """A number with two decimals, without any in yen."""
        thousands, point = NUMBERS[self.number]
        digits = f"{value:,.0f}" if self.currency == "JPY" else f"{value:,.2f}"
        return digits.translate({ord(","): thousands, ord("."): point})

    def sum(self, value: Decimal) -> str:
        """Money."""
        return self.money.format(sign=SIGNS[self.currency], code=self.currency, number=self.amount(value))


def draw_hand(rng: Random, currency: str) -> Hand:
    """Ways in which a paper in this currency is written."""
    return Hand(rng.choice([*DATES]), rng.choice(OF_CURRENCY[currency]), rng.choice(MONEY), currency)
