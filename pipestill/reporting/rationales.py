"""What the rationales cost that students learnt from, and who wrote them."""

from typing import Any

from pipestill.evaluation.formats import dollars, listing, plural, seconds
from pipestill.reporting.study import Study


def rationale_rows(study: Study) -> list[dict[str, Any]]:
    """The annotations that methods learnt from, each once: ``cost.annotation``, and the titles of the methods."""
    rows: list[dict[str, Any]] = []
    for experiment in study.experiments:
        annotation = experiment.evaluation["cost"]["annotation"]
        if annotation is None:
            continue
        row = next((row for row in rows if row["annotation"] == annotation), None)
        if row is None:
            rows.append(row := {"annotation": annotation, "methods": []})
        row["methods"].append(experiment.title)
    for row in rows:
        row["author"] = _author(row["annotation"])
        calls = row["annotation"]["calls"]
        row["failures"] = calls["failed"] | ({"unfinished": calls["unfinished"]} if calls["unfinished"] else {})
    return rows


def _author(annotation: dict[str, Any]) -> str:
    """``demo-teacher, trained in this run and served on this machine (provider local)``."""
    model, provider = annotation["model"], annotation["provider"]
    if provider == "local":
        return f"{model}, trained in this run and served on this machine (provider local)"
    served = [name for name in annotation["served_models"] if name != model]
    by = [*annotation["served_providers"]]
    ways = [
        f"provider {provider}",
        *([f"as {listing(served)}"] if served else []),
        *([f"served by {listing(by)}"] if by else []),
    ]
    return f"{model} ({', '.join(ways)})"


def rationale_sentences(study: Study) -> list[str]:
    """Who wrote the rationales that methods learnt from, about what."""
    about = "synthetic documents" if study.synthetic else "the training documents"
    return [
        f"The rationales of {listing(row['methods'])} were written by {row['author']}, about {about}."
        for row in rationale_rows(study)
    ]


def rationale_conclusion(study: Study) -> str | None:
    """What methods need beside their training: an annotator, calls and money."""
    parts = []
    for row in rationale_rows(study):
        annotation, titles = row["annotation"], row["methods"]
        taken = [plural(annotation["calls"]["total"], "call")]
        if annotation["training"]:
            taken.append(f"{seconds(annotation['training']['cpu_s'])} of processor time to train it")
        if annotation["provider"] != "local":
            paid = annotation["dollars"]
            taken.append("a price that is not known" if paid is None else dollars(paid))
        verb = "needs" if len(titles) == 1 else "need"
        parts.append(f"{listing(titles)} also {verb} the rationales of {annotation['model']}: {' and '.join(taken)}.")
    return " ".join(parts) or None
