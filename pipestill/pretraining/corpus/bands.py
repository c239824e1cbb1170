"""Records with questions about single fields: copy a value, name its band, give it a grade.

The bands are thirds and the grades ninths of each quantity's range, so that an answer depends on the digits of one
number and on nothing else in the record. No question asks for more than one field.
"""

from dataclasses import dataclass
from math import log
from random import Random

from pipestill.pretraining.corpus.document import Document, chat
from pipestill.tasks import lexicon
from pipestill.tasks.creditmix.synthetic import draw_applicant

BANDS = ("low", "medium", "high")
BAND_QUESTIONS = (
    "Is the {field} low, medium or high?",
    "{field}: low, medium or high?",
    "Give the band of the {field}.",
    "In which band is the {field}?",
)
GRADE_QUESTIONS = ("Grade the {field} from 1 to 9.", "{field} on a scale of 1 to 9?")
VALUE_QUESTIONS = ("What is the {field}?", "Give the {field}.", "{field}?")


@dataclass(frozen=True)
class Quantity:
    """A numeric field: its name, its range (with a logarithmic scale for amounts), and how it is written."""

    name: str
    low: float
    high: float
    logarithmic: bool = False
    form: str = "{:.2f}"

    def draw(self, rng: Random) -> float:
        """A value uniform on the field's scale, from a little outside its range."""
        share = rng.uniform(-0.1, 1.1)
        if self.logarithmic:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share

    def share(self, value: float) -> float:
        """Place of ``value`` in the range: 0 at its lower end, 1 at its upper end."""
        if self.logarithmic:
            return log(value / self.low) / log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def band(self, value: float) -> str:
        """Low, medium or high."""
        return BANDS[min(2, max(0, int(self.share(value) * 3)))]

    def grade(self, value: float) -> int:
        """1 to 9."""
        return min(9, max(1, int(self.share(value) * 9) + 1))


DEBT = Quantity("Outstanding Debt", 300, 4000, True)
INCOME = Quantity("Annual Income", 15_000, 95_000, True)
UTILISATION = Quantity("Credit Utilization Ratio", 24, 40)
AGE = Quantity("Age", 18, 60, form="{:.0f}.0")
OTHER_RECORDS = {
    "patient": (
        Quantity("Heart Rate", 50, 130, form="{:.0f}"),
        Quantity("Temperature", 35.5, 40.0, form="{:.1f}"),
        Quantity("Weight", 45, 120, form="{:.1f}"),
        AGE,
    ),
    "product": (
        Quantity("Price", 1, 900, True),
        Quantity("Stock", 5, 5000, True, "{:.0f}"),
        Quantity("Rating", 1, 5, form="{:.1f}"),
    ),
    "city": (
        Quantity("Population", 2_000, 4_000_000, True, "{:.0f}"),
        Quantity("Rainfall", 100, 2000, form="{:.0f}"),
        Quantity("Temperature", -10, 40, form="{:.1f}"),
    ),
    "account": (
        Quantity("Balance", 10, 50_000, True),
        Quantity("Outstanding Debt", 300, 4000, True),
        Quantity("Monthly Payment", 20, 2000, True),
    ),
}


def _number_turns(rng: Random, quantity: Quantity, written: str) -> tuple[str, str]:
    value = float(written)
    draw = rng.random()
    if draw < 0.5:
        return rng.choice(BAND_QUESTIONS).format(field=quantity.name), quantity.band(value)
    if draw < 0.8:
        return rng.choice(GRADE_QUESTIONS).format(field=quantity.name), str(quantity.grade(value))
    return rng.choice(VALUE_QUESTIONS).format(field=quantity.name), written


def _payment_turns(rng: Random, payment: str) -> tuple[str, str]:
    spent, _, size, *_ = payment.split("_")
    return rng.choice(
        (
            ("Is the spending high or low?", spent.lower()),
            ("Spending: high or low?", spent.lower()),
            ("Are the payments small, medium or large?", size.lower()),
            ("Size of the payments: small, medium or large?", size.lower()),
            ("What is the Payment Behaviour?", payment),
            ("Payment Behaviour?", payment),
        )
    )


def _applicant(rng: Random) -> tuple[str, list[tuple[str, str]]]:
    applicant = draw_applicant(rng)
    debt = applicant.debt if rng.random() < 0.5 else DEBT.draw(rng)
    numbers = {AGE: applicant.age, INCOME: applicant.income, DEBT: debt, UTILISATION: applicant.utilisation}
    fields = {quantity.name: quantity.form.format(value) for quantity, value in numbers.items()}
    fields["Occupation"] = applicant.occupation
    fields["Payment Behaviour"] = applicant.payment
    order = ["Age", "Occupation", INCOME.name, DEBT.name, UTILISATION.name, "Payment Behaviour"]
    if rng.random() < 0.4:
        order = rng.sample(order, rng.randint(2, 6))
    asked = []
    for _ in range(rng.randint(2, 6)):
        field = rng.choice([name for name in order if name != "Occupation"] + [n for n in order if n == DEBT.name] * 2)
        if field == "Payment Behaviour":
            asked.append(_payment_turns(rng, applicant.payment))
        else:
            quantity = next(quantity for quantity in numbers if quantity.name == field)
            asked.append(_number_turns(rng, quantity, fields[field]))
    if "Occupation" in order and rng.random() < 0.2:
        asked.append((rng.choice(VALUE_QUESTIONS).format(field="Occupation"), applicant.occupation))
    return ", ".join(f"{name}: {fields[name]}" for name in order), asked


def _other(rng: Random) -> tuple[str, list[tuple[str, str]]]:
    kind, quantities = rng.choice(list(OTHER_RECORDS.items()))
    written = {quantity: quantity.form.format(quantity.draw(rng)) for quantity in quantities}
    parts = [f"{quantity.name}: {text}" for quantity, text in written.items()]
    parts.append(f"{kind.capitalize()}: {lexicon.person(rng) if kind != 'product' else rng.choice(lexicon.PRODUCTS)}")
    rng.shuffle(parts)
    asked = [_number_turns(rng, *rng.choice(list(written.items()))) for _ in range(rng.randint(2, 5))]
    return rng.choice((", ", "; ", "\n")).join(parts), asked


def record(rng: Random) -> Document:
    """A record and two to seven questions about single fields; the first question is asked with the record."""
    text, asked = (_applicant if rng.random() < 0.7 else _other)(rng)
    asked = list(dict.fromkeys(asked))
    question, answer = asked[0]
    first = rng.choice((f"{text}\n{question}", f"{question}\n{text}"))
    return chat("bands", (first, answer), *asked[1:])
