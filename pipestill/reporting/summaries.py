"""What the report says of studies of documents alone: how metrics were computed, and how long extracts are."""

from collections.abc import Mapping
from typing import Any

from pipestill.evaluation.formats import METRIC_TITLES, listing, plural
from pipestill.reporting.study import Study

SIGNED = {
    "rouge": "ROUGE",
    "rouge_unicode": "ROUGE (Unicode)",
    **{name: METRIC_TITLES[name] for name in ("bleu", "chrf", "bertscore")},
}


def signatures(study: Study) -> dict[str, list[str]]:
    """How the metrics of the tables were computed, by what tables call them; more than one where experiments differ."""
    found = {
        title: [_text(each.evaluation["signatures"][name]) for each in study.experiments]
        for name, title in SIGNED.items()
        if study.of_documents
    }
    return {title: list(dict.fromkeys(texts)) for title, texts in found.items()}


def _text(signature: str | Mapping[str, Any]) -> str:
    """A signature as it is, or that of BERTScore, which is a mapping, in the same way of writing."""
    if isinstance(signature, str):
        return signature
    return "|".join(f"{key}:{value}" for key, value in signature["signature"].items() if value is not None)


def signature_warnings(study: Study) -> list[str]:
    """Metrics that were not computed in one way for all experiments."""
    return [
        f"{title} was not computed in the same way for all methods ({' and '.join(texts)}): evaluate them again."
        for title, texts in signatures(study).items()
        if len(texts) > 1
    ]


def bertscore_counts(study: Study) -> str | None:
    """Texts that BERTScore could not see, or not whole."""
    parts = []
    for experiment in study.experiments:
        facts = experiment.evaluation["signatures"].get("bertscore")
        if isinstance(facts, dict) and (facts["empty"] or facts["truncated"]):
            parts.append(f"{experiment.title} ({facts['empty']} empty, {facts['truncated']} cut)")
    return (
        f"BERTScore met answers without a token, which score 0, or texts that it cut: {listing(parts)}."
        if parts
        else None
    )


def extract_sentence(study: Study) -> str | None:
    """How many sentences the summaries have that are taken from the documents."""
    takers = [(each.title, n) for each in study.experiments if (n := each.evaluation["sentences"])]
    if not takers:
        return None
    parts = listing([f"{title} takes {plural(n, 'sentence')}" for title, n in takers])
    return f"{parts} of each document, as many as was best on validation rows."
