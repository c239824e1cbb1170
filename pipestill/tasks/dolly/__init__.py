"""Dolly: following instructions, with an input or without; five test sets of different kinds."""

from collections.abc import Mapping
from typing import Any

from pipestill.answers.text import Text
from pipestill.io.normal import normalise
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.test_sets import TestSets
from pipestill.metrics.measures import SHORT_ANSWERS
from pipestill.settings.prompts import Prompt
from pipestill.tasks.base import ANSWER, Task
from pipestill.tasks.dolly.synthetic import generate

_PREAMBLE = "Below is an instruction that describes a task"
_REQUEST = "Write a response that appropriately completes the request."
PLAIN = Prompt(text=["{instruction}\n{input}", "{instruction}"])
ALPACA = Prompt(  # the newline before the answer is the tokenizer's business
    text=[
        f"{_PREAMBLE}, paired with an input that provides further context. {_REQUEST}\n\n"
        "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:",
        f"{_PREAMBLE}. {_REQUEST}\n\n### Instruction:\n{{instruction}}\n\n### Response:",
    ]
)


def parse(row: Mapping[str, Any]) -> Example:
    """Read ``{"instruction", "input", "output"}`` or ``{"prompt", "output"}``; ``output`` is text or a list of texts.

    A prompt in the Alpaca wording is taken apart; any other is the instruction. One beside an instruction is what was
    made of it. The first answer that is not empty is the target.
    """
    prompt = _text(row, "prompt")
    if "instruction" in row:
        inputs = {key: _text(row, key) for key in ("instruction", "input")}
        if prompt and not all(normalise(text) in normalise(prompt) for text in inputs.values()):
            raise BadRow("`prompt` does not hold its instruction and input")
    else:
        inputs = {"instruction": prompt, "input": ""} | (ALPACA.template.split(prompt) or {})
    if not inputs["instruction"]:
        raise BadRow("empty instruction")
    answers = row.get("output")
    answers = answers if isinstance(answers, list) else [answers]
    if not all(isinstance(answer, str | None) for answer in answers):
        raise BadRow("an answer is not text")
    references = tuple(answer.strip() for answer in answers if answer and answer.strip())
    if not references:
        raise BadRow("no answer")
    return Example(inputs, references[0], references)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | None):
        raise BadRow(f"`{key}` is not text")
    return (value or "").strip()


DOLLY = Task(
    name="dolly",
    inputs=("instruction", "input"),
    prompts={ANSWER: PLAIN, "alpaca": ALPACA},
    layout=TestSets(("dolly", "selfinst", "vicuna", "sinst", "uinst")),
    answers=Text(64, measure=SHORT_ANSWERS),
    parse=parse,
    synthetic=generate,
)
