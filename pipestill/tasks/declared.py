"""Tasks that the configuration declares: one file of rows, and answers of a kind that can be told without Python."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pipestill.answers.base import Answers
from pipestill.answers.kinds import KINDS
from pipestill.answers.text import TextDefinition
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.rows import Rows
from pipestill.settings.prompts import Prompt
from pipestill.settings.tasks import Declared
from pipestill.tasks.base import ANSWER, Task

ANY = Declared(kind="text", answers=TextDefinition(kind="text").told(), inputs=["text"])  # where answers do not matter


def make(name: str, declared: Declared) -> Task:
    """The task that a configuration declares under ``name``; its prompt shows its inputs, one below the other."""
    answers = KINDS[declared.kind].of(declared.answers)
    return Task(
        name=name,
        inputs=tuple(declared.inputs),
        prompts={ANSWER: Prompt(text="\n".join(f"{{{each}}}" for each in declared.inputs))},
        layout=Rows(),
        answers=answers,
        parse=partial(parse, declared.inputs, answers),
        module=__name__,
    )


def parse(inputs: Sequence[str], answers: Answers, row: Mapping[str, Any]) -> Example:
    """Read a row with a column for each input and one for the answer, which has the name of its kind's ``column``."""
    texts = {name: row[name] for name in inputs}
    for name, text in texts.items():
        if not isinstance(text, str | None):
            raise BadRow(f"`{name}` is not text")
    try:
        target = answers.read(row[answers.column])
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Example({name: text or "" for name, text in texts.items()}, target)
