"""Tasks that the configuration declares: one file of rows, and answers of a kind that can be told without Python."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipestill.answers.base import Answers, Values
from pipestill.answers.kinds import KINDS
from pipestill.answers.text import TextDefinition
from pipestill.errors import UserError
from pipestill.layouts.any_rows import AnyRows, read_any
from pipestill.layouts.columns import Columns, Row
from pipestill.layouts.example import BadRow, Example
from pipestill.layouts.forms import form_of
from pipestill.settings.prompts import Prompt
from pipestill.settings.tasks import Declared
from pipestill.tasks.base import ANSWER, RATIONALE, Task

REJECTED = "rejected"  # column of worse answers
ANY = Declared(kind="text", answers=TextDefinition(kind="text").told(), inputs=["text"])  # where answers do not matter


def make(name: str, declared: Declared) -> Task:
    """The task that a configuration declares under ``name``; its prompt shows its inputs, one below the other."""
    answers = KINDS[declared.kind].of(declared.answers)
    shown = "\n".join(f"{{{each}}}" for each in declared.inputs)
    return Task(
        name=name,
        inputs=tuple(declared.inputs),
        prompts={ANSWER: Prompt(text=shown), RATIONALE: Prompt(text=f"Explain the answer to this.\n{shown}")},
        layout=AnyRows(),
        answers=answers,
        parse=partial(parse, declared.inputs, answers),
        module=__name__,
    )


def parse(inputs: Sequence[str], answers: Answers, row: Row) -> Example:
    """Read a row with a column for each input and one for the answer, which has the name of its kind's ``column``, or a
    row in the form of another tool for a task with one input."""
    texts, values = said(inputs, answers.column, row, answers.pairs)
    for name, text in texts.items():
        if not isinstance(text, str | None):
            raise BadRow(f"`{row.called(name)}` is not text")
    try:
        target = answers.read(values.target)
    except ValueError as error:
        own, called, reason = f"`{answers.column}`", f"`{row.called(answers.column)}`", str(error)
        raise BadRow(reason.replace(own, called) if own in reason else f"{called}: {reason}") from None
    rejected = _rejected(values.rejected, target) if answers.pairs else None
    return Example({name: text or "" for name, text in texts.items()}, target, rejected=rejected)


def said(inputs: Sequence[str], column: str, row: Row, pairs: bool) -> tuple[dict[str, Any], Values]:
    """Inputs and answers of a row, as they stand there.

    Raises:
        KeyError: a column is missing.
        BadRow: it is in the form of another tool, and broken.
    """
    form = form_of(row, (*inputs, column)) if len(inputs) == 1 else None
    if form is None:
        return {name: row[name] for name in inputs}, Values(row[column], row.get(REJECTED) if pairs else None)
    found = form.read(row)
    return {inputs[0]: found.text}, Values(found.target, found.rejected)


def values_of(path: Path, columns: Mapping[str, str], inputs: Sequence[str], column: str) -> Iterator[Values]:
    """What the rows of a local file say of their answers; those that say nothing are left out.

    Raises:
        UserError: the file cannot be read, or has no such columns.
    """
    found = Columns()
    empty = True
    for _, content in read_any(path, str(path)):
        if isinstance(content, BadRow):
            continue
        try:
            row = Row(content, columns)
            _, values = said(inputs, column, row, pairs=True)
        except (KeyError, ValueError):
            found.count(row, False)
            continue
        empty = False
        yield values
    if empty:
        raise UserError(f"{path}: no row has what the task reads{found.hint()}")


def _rejected(value: object, target: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadRow(f"`{REJECTED}` is not text")
    if value.strip() == target:
        raise BadRow(f"`{REJECTED}` is the answer itself")
    return value.strip()
