"""Seeded stand-in for the CreditMix data: applicants in the published text form, labels from a noisy latent score.

The features are drawn independently of each other; the latent risk

    score = z(log debt) + 1.8 payment effect + 0.3 z(utilisation) - 0.2 z(log income) + 0.35 e,   e ~ N(0, 1)

is cut at two thresholds, so that the classes are as imbalanced as in the public data (Standard 46 %, Good 30 %,
Bad 24 %) and the best possible classifier (``bayes_accuracy``) is known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from statistics import NormalDist

LABELS = ("Good", "Standard", "Bad")
CLASS_SHARES = (0.30, 0.46, 0.24)
OCCUPATIONS = (
    "Accountant", "Architect", "Developer", "Doctor", "Engineer", "Entrepreneur", "Journalist", "Lawyer",
    "Manager", "Mechanic", "Media_Manager", "Musician", "Scientist", "Teacher", "Writer",
)  # fmt: skip
PAYMENT_EFFECTS = {
    "High_spent_Large_value_payments": -0.90,
    "High_spent_Medium_value_payments": -0.54,
    "High_spent_Small_value_payments": -0.18,
    "Low_spent_Large_value_payments": 0.18,
    "Low_spent_Medium_value_payments": 0.54,
    "Low_spent_Small_value_payments": 0.90,
}
NOISE_SD = 0.35
MISSING_LABEL = "_"  # the public data mark a missing label so; such rows are bad rows
MISSING_SHARE = 0.005


@dataclass(frozen=True)
class Applicant:
    """One applicant: the six features as drawn, and the standardised values that the latent score uses."""

    age: int
    occupation: str
    income: float
    debt: float
    utilisation: float
    payment: str
    signal: float

    def text(self) -> str:
        """The features in the published text form."""
        return (
            f"Age: {self.age}.0, Occupation: {self.occupation}, Annual Income: {self.income:.2f}, "
            f"Outstanding Debt: {self.debt:.2f}, Credit Utilization Ratio: {self.utilisation:.2f}, "
            f"Payment Behaviour: {self.payment}"
        )


def draw_applicant(rng: Random) -> Applicant:
    """One applicant from ``rng``; ``signal`` is the latent score without its noise."""
    z_income, z_debt, z_utilisation = (max(-2.5, min(2.5, rng.gauss(0, 1))) for _ in range(3))
    payment = rng.choice(list(PAYMENT_EFFECTS))
    return Applicant(
        age=rng.randint(18, 60),
        occupation=rng.choice(OCCUPATIONS),
        income=round(math.exp(10.5 + 0.6 * z_income), 2),
        debt=round(math.exp(7.0 + 0.8 * z_debt), 2),
        utilisation=round(32 + 5 * z_utilisation, 2),
        payment=payment,
        signal=z_debt + 1.8 * PAYMENT_EFFECTS[payment] + 0.3 * z_utilisation - 0.2 * z_income,
    )


@cache
def thresholds() -> tuple[float, float]:
    """Cuts of the noisy score that give ``CLASS_SHARES``, from a fixed sample of 40,000 applicants."""
    rng = Random(20240229)
    scores = sorted(draw_applicant(rng).signal + rng.gauss(0, NOISE_SD) for _ in range(40_000))
    good, standard, _ = CLASS_SHARES
    return scores[round(good * len(scores))], scores[round((good + standard) * len(scores))]


def posterior(signal: float) -> tuple[float, float, float]:
    """P(label | features), in the order of ``LABELS``."""
    low, high = thresholds()
    noise = NormalDist(signal, NOISE_SD)
    below_low, below_high = noise.cdf(low), noise.cdf(high)
    return below_low, below_high - below_low, 1 - below_high


def draw_label(applicant: Applicant, rng: Random) -> str:
    """A label drawn from the latent score of ``applicant``."""
    low, high = thresholds()
    score = applicant.signal + rng.gauss(0, NOISE_SD)
    return LABELS[0] if score < low else LABELS[1] if score < high else LABELS[2]


def bayes_accuracy(applicants: Sequence[Applicant], *, balanced: bool = False) -> float:
    """Expected accuracy of the best classifier on ``applicants``, as they come or with the classes weighted equally."""
    weights = [1 / (len(LABELS) * share) if balanced else 1.0 for share in CLASS_SHARES]
    best = total = 0.0
    for applicant in applicants:
        weighted = [w * p for w, p in zip(weights, posterior(applicant.signal), strict=True)]
        best += max(weighted)
        total += sum(weighted)
    return best / total


def generate(n: int, seed: int) -> tuple[list[dict[str, str]], dict[str, float]]:
    """``n`` rows ``{"question", "answer"}`` as the real set has them, and facts for the manifest."""
    rng = Random(f"creditmix {seed}")
    applicants = [draw_applicant(rng) for _ in range(n)]
    rows = []
    for applicant in applicants:
        label = draw_label(applicant, rng)
        if rng.random() < MISSING_SHARE:
            label = MISSING_LABEL
        rows.append({"question": applicant.text(), "answer": label})
    facts = {
        "bayes_accuracy": round(bayes_accuracy(applicants), 4),
        "bayes_accuracy_balanced": round(bayes_accuracy(applicants, balanced=True), 4),
    }
    return rows, facts
