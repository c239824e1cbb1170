"""Dolly: following instructions, with an input or without; five test sets of different kinds."""

from collections.abc import Mapping
from typing import Any

from pipestill.tasks.base import BadRow, Example, Task
from pipestill.tasks.dolly_synthetic import generate
from pipestill.text.templates import split_alpaca


def parse(row: Mapping[str, Any]) -> Example:
    """Read ``{"instruction", "input", "output"}`` or ``{"prompt", "output"}``; ``output`` is text or a list of texts.

    A prompt in the Alpaca wording is taken apart; any other is the instruction. The first answer that is not empty is
    the target.
    """
    if "instruction" in row:
        instruction, text = (_text(row, key) for key in ("instruction", "input"))
    else:
        instruction, text = split_alpaca(_text(row, "prompt"))
    if not instruction:
        raise BadRow("empty instruction")
    answers = row.get("output")
    answers = answers if isinstance(answers, list) else [answers]
    if not all(isinstance(answer, str | None) for answer in answers):
        raise BadRow("an answer is not text")
    references = tuple(answer.strip() for answer in answers if answer and answer.strip())
    if not references:
        raise BadRow("no answer")
    return Example(text=text, target=references[0], instruction=instruction, references=references)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | None):
        raise BadRow(f"`{key}` is not text")
    return (value or "").strip()


DOLLY = Task(
    name="dolly",
    title="Dolly",
    primary_metric="rouge_l",
    prompt=str,
    parse=parse,
    synthetic=generate,
    max_new_tokens=64,
    test_sets=("dolly", "selfinst", "vicuna", "sinst", "uinst"),
)
