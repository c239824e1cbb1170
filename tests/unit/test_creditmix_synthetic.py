from collections import Counter
from random import Random

import pytest

from pipestill.tasks.creditmix import CREDITMIX
from pipestill.tasks.creditmix.synthetic import (
    CLASS_SHARES,
    LABELS,
    NOISE_SD,
    bayes_accuracy,
    draw_applicant,
    draw_label,
    generate,
    posterior,
    thresholds,
)


def test_classes_are_as_imbalanced_as_in_the_public_data():
    rows, _ = generate(6000, seed=5)
    counts = Counter(row["answer"] for row in rows)
    total = sum(counts[label] for label in LABELS)
    for label, share in zip(LABELS, CLASS_SHARES, strict=True):
        assert counts[label] / total == pytest.approx(share, abs=0.03)
    assert 0 < counts["_"] < 0.01 * len(rows)


def test_the_text_has_the_published_form():
    rows, _ = generate(1, seed=5)
    names = [part.split(": ")[0] for part in rows[0]["question"].split(", ")]
    assert names == [
        "Age",
        "Occupation",
        "Annual Income",
        "Outstanding Debt",
        "Credit Utilization Ratio",
        "Payment Behaviour",
    ]
    assert CREDITMIX.parse({**rows[0], "answer": "Good"}).inputs == {"features": rows[0]["question"]}


def test_bayes_accuracy_is_what_the_best_classifier_gets():
    """The stated figure against a classifier that knows the latent score, on labels drawn anew."""
    rng = Random(1)
    applicants = [draw_applicant(rng) for _ in range(20_000)]
    low, high = thresholds()
    hits = Counter()
    for applicant in applicants:
        best = LABELS[max(range(3), key=posterior(applicant.signal).__getitem__)]
        score = applicant.signal + rng.gauss(0, NOISE_SD)
        hits[best == (LABELS[0] if score < low else LABELS[1] if score < high else LABELS[2])] += 1
    assert hits[True] / len(applicants) == pytest.approx(bayes_accuracy(applicants), abs=0.01)
    assert 0.85 < bayes_accuracy(applicants) < 0.90
    assert 0.85 < bayes_accuracy(applicants, balanced=True) < 0.90


def test_labels_follow_the_posterior():
    rng = Random(2)
    applicant = draw_applicant(rng)
    drawn = Counter(draw_label(applicant, rng) for _ in range(20_000))
    for label, probability in zip(LABELS, posterior(applicant.signal), strict=True):
        assert drawn[label] / 20_000 == pytest.approx(probability, abs=0.015)
