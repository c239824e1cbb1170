"""MultiClinSum: clinical case reports in English, Spanish, French and Portuguese, to be summarised."""

from collections.abc import Mapping
from typing import Any

from pipestill.answers.text import Text
from pipestill.layouts.documents import Documents
from pipestill.layouts.example import BadRow, Example
from pipestill.metrics.measures import SUMMARIES
from pipestill.settings.prompts import Prompt
from pipestill.tasks.base import ANSWER, Task
from pipestill.tasks.base import RATIONALE as ASKS_RATIONALE
from pipestill.tasks.multiclinsum.archives import LANGUAGES, read_set, write_sets
from pipestill.tasks.multiclinsum.synthetic import generate

INPUTS, OUTPUTS = ("input", "text", "fulltext"), ("output", "summary")  # names that a pair's columns may have
RATIONALES = ("rationale", "findings")


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
    language = _text(row, ("language",)).lower() or "en"
    if language not in LANGUAGES:
        raise BadRow(f"unknown language {language!r}; it is one of {', '.join(LANGUAGES)}")
    file = _name(row, "file")
    return Example(
        {"document": report},
        summary,
        test_set=language,
        group=_name(row, "case") or None,
        rationale=_text(row, RATIONALES) or None,
        meta={"language": language, **({"file": file} if file else {})},
    )


def _text(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The text that a row has under one of ``names``, or under several of them the same."""
    found = {}
    for name in names:
        value = row.get(name)
        if not isinstance(value, str | None):
            raise BadRow(f"`{name}` is not text")
        if value and value.strip():
            found[name] = value.strip()
    if len(set(found.values())) > 1:
        raise BadRow(f"{' and '.join(f'`{name}`' for name in found)} are different texts")
    return next(iter(found.values()), "")


def _name(row: Mapping[str, Any], key: str) -> str:
    """A name, which may be a number."""
    value = row.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | None) or isinstance(value, bool):
        raise BadRow(f"`{key}` is not a name")
    return "" if value is None else str(value).strip()


MULTICLINSUM = Task(
    name="multiclinsum",
    inputs=("document",),
    prompts={  # in English for every language, as published models learnt them
        ANSWER: Prompt(text="Summarize clinical text:\n{document}"),
        ASKS_RATIONALE: Prompt(text="Extract the key information from clinical text:\n{document}"),
    },
    layout=Documents(LANGUAGES, read=read_set, write=write_sets),
    answers=Text(96, measure=SUMMARIES, extractive=True),
    parse=parse,
    synthetic=generate,
    challenge=True,
)
