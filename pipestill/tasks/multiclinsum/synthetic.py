"""Seeded stand-in for clinical case reports: each case in English and Spanish, with its summary and key findings.

A case is a draw of facts. Its report tells them in one of several forms, each part in one of several wordings; the
two languages are worded independently, as translations by different hands are. Summaries word some facts differently
than the report, and mention a wrong diagnosis or a failed treatment as such or not at all, so that copying single
sentences does not make one. A quarter of them is in another style than their form suggests: no method can score 100.
"""

from random import Random
from typing import Any

from pipestill.tasks.multiclinsum import lexicon as words
from pipestill.tasks.multiclinsum.wordings import FINDINGS, FORMS, OUTCOMES, PARTS, PERSONS, SUMMARIES

LANGUAGES = ("en", "es")
OTHER_STYLE = 0.25  # share of summaries in another style than their form's


def generate(n: int, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """``n`` rows ``{"file", "language", "case", "input", "output", "findings"}``, and facts for the manifest.

    Cases come in turn in both languages; an odd ``n`` leaves the last one without its Spanish report.
    """
    cases = (n + 1) // len(LANGUAGES)
    rows = [row for number in range(1, cases + 1) for row in _case(Random(f"multiclinsum {seed} {number}"), number)]
    return rows[:n], {"cases": cases, "languages": list(LANGUAGES)}


def _case(rng: Random, number: int) -> list[dict[str, Any]]:
    facts = _facts(rng)
    rows = []
    for index, language in enumerate(LANGUAGES):
        form = rng.choice(list(FORMS))
        style = rng.choice([name for name in SUMMARIES if name != form]) if rng.random() < OTHER_STYLE else form
        summary = SUMMARIES[style][index]
        in_summary = _told(facts, index, outcome=2)
        rows.append(
            {
                "file": f"multiclinsum_synthetic_{language}_{number}",
                "language": language,
                "case": f"synthetic-{number}",
                "input": _report(rng, form, index, _told(facts, index, outcome=rng.randrange(2)), summary),
                "output": summary.format(**in_summary),
                "findings": FINDINGS[index].format(**in_summary),
            }
        )
    return rows


def _facts(rng: Random) -> dict[str, Any]:
    """Facts of a case; words are pairs of English and Spanish."""
    complaint, second = rng.sample(words.COMPLAINTS, 2)
    diagnosis, suspected = rng.sample(words.DIAGNOSES, 2)
    treatment, tried = rng.sample(words.TREATMENTS, 2)
    exam, other_exam = rng.sample(words.EXAMS, 2)
    *person, pronoun, un, el, ages = rng.choice(PERSONS)
    return {
        "complaint": complaint, "second": second, "diagnosis": diagnosis, "suspected": suspected,
        "treatment": treatment, "tried": tried, "exam": exam, "other_exam": other_exam,
        "finding": rng.choice(words.FINDINGS), "history": rng.choice(words.HISTORIES[:-1]),  # the last is that of none
        "unit": rng.choice(words.UNITS), "outcome": rng.choice(OUTCOMES), "person": person, "he": pronoun.lower(),
        "un": un, "el": el, "age": rng.randint(*ages), "duration": rng.randint(2, 9), "after": rng.randint(2, 12),
        "course": rng.randint(3, 20),
    }  # fmt: skip


def _told(facts: dict[str, Any], language: int, outcome: int) -> dict[str, str]:
    """The facts in one language, each also with a capital; ``outcome`` says in which of its wordings that one is."""
    told = {name: value if isinstance(value, str | int) else value[language] for name, value in facts.items()}
    told["outcome"] = told["outcome"][outcome]
    told = {name: str(value) for name, value in told.items()}
    return told | {name.capitalize(): value[0].upper() + value[1:] for name, value in told.items()}


def _report(rng: Random, form: str, language: int, told: dict[str, str], summary: str) -> str:
    """A report with all that the template ``summary`` speaks of."""
    sentences = []
    for part in FORMS[form]:
        name = part.strip("[]")
        if name == part or rng.random() < 0.5 or f"{{{name}}}" in summary:
            sentences.append(rng.choice(PARTS[name][language]).format(**told))
    return " ".join(sentences)
