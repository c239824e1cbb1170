"""MultiClinSum: clinical case reports in English, Spanish, French and Portuguese, to be summarised."""

from collections.abc import Mapping
from typing import Any

from pipestill.tasks.base import BadRow, Collection, Example, Task
from pipestill.tasks.multiclinsum_files import LANGUAGES, read_set, write_sets
from pipestill.tasks.multiclinsum_synthetic import generate

SUMMARIZE = "Summarize clinical text"
EXTRACT = "Extract the key information from clinical text"
INPUTS, OUTPUTS = ("input", "text", "fulltext"), ("output", "summary")  # names that a pair's columns may have
RATIONALES = ("rationale", "findings")


def prompt(report: str) -> str:
    """The user's message that asks for the summary: in English for every language, as published models learnt it."""
    return f"{SUMMARIZE}:\n{report}"


def rationale_prompt(report: str) -> str:
    """The user's message that asks for the key information."""
    return f"{EXTRACT}:\n{report}"


def parse(row: Mapping[str, Any]) -> Example:
    """Read ``{"input", "output"}`` with ``language``, ``case``, ``file`` and ``rationale`` where given.

    ``text`` and ``fulltext`` mean ``input``, ``summary`` means ``output``, ``findings`` means ``rationale``. A row
    without a language is English; one without a case is a case of its own.
    """
    report, summary = _text(row, INPUTS), _text(row, OUTPUTS)
    if not report:
        raise BadRow("empty text")
    if not summary:
        raise BadRow("empty summary")
    if len(summary) >= len(report):
        raise BadRow("the summary is not shorter than its text")
    language = _text(row, ("language",)) or "en"
    if language not in LANGUAGES:
        raise BadRow(f"unknown language {language!r}; it is one of {', '.join(LANGUAGES)}")
    return Example(
        text=report,
        target=summary,
        references=(summary,),
        test_set=language,
        group=_text(row, ("case",)) or None,
        extra={"rationale": text} if (text := _text(row, RATIONALES)) else {},
        meta={"language": language, **({"file": name} if (name := _text(row, ("file",))) else {})},
    )


def _text(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    value = next((row[name] for name in names if row.get(name) is not None), "")
    if not isinstance(value, str | int):
        raise BadRow(f"`{names[0]}` is not text")
    return str(value).strip()


MULTICLINSUM = Task(
    name="multiclinsum",
    title="MultiClinSum",
    primary_metric="rouge_l",
    prompt=prompt,
    parse=parse,
    rationale_prompt=rationale_prompt,
    synthetic=generate,
    max_new_tokens=96,
    test_sets=LANGUAGES,
    metrics="summaries",
    collection=Collection(read=read_set, write=write_sets),
)
