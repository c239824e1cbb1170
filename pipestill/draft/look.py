"""A look at a file of rows: its columns, and what is asked, answered and left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipestill.answers.kinds import KINDS
from pipestill.answers.labels import MOST_LABELS, spelt
from pipestill.errors import UserError, shortened
from pipestill.io.normal import cleaned, normalise
from pipestill.io.parsing import BadJson, parse_json
from pipestill.layouts.any_rows import read_any
from pipestill.layouts.columns import CONTENT
from pipestill.layouts.example import BadRow
from pipestill.layouts.forms import Form, form_of
from pipestill.settings.section import LONGEST_NAME
from pipestill.settings.tasks import OF_PREDICT

SHORT = 20  # characters: a column of shorter texts is taken for none that a model reads
LONGEST_LABEL = 60  # characters
REPEATED = 5  # rows of a label, in the mean
NOBODY = ("",)  # names that no row has


@dataclass(frozen=True)
class Look:
    """What a file holds, and what is taken of it.

    Attributes:
        path: of the file.
        kind: of the answers: a key of ``KINDS``.
        inputs: columns that are read, by the names of inputs.
        target: column of the answers; none for rows in the form of another tool.
        form: of the rows, where they are in one.
        ignored: columns that have the name of an input or an answer, and are left out.
        answers: of the rows, as they stand there.
        assumed: sentences about what was not said.
    """

    path: Path
    kind: str
    inputs: Mapping[str, str]
    target: str | None
    form: Form | None
    ignored: Sequence[str]
    answers: Sequence[Any]
    assumed: Sequence[str]


def look(path: Path, target: str | None, texts: Sequence[str], kind: str | None) -> Look:
    """Look at a file.

    Args:
        path: of the file.
        target: column of the answers; none where the form of the rows says it.
        texts: columns that are read; found where none are given.
        kind: of the answers; guessed where it is not given.

    Raises:
        UserError: the file cannot be read, or has no such columns.
    """
    rows = [cleaned(row) for _, row in read_any(path, str(path)) if not isinstance(row, BadRow)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if not columns:
        raise UserError(
            f"{path}: no row can be read; a table with a header, JSON Lines, a JSON list or Parquet is needed"
        )
    assumed: list[str] = []
    form = None if target else _form(path, rows, columns)
    for name in (*([target] if target else []), *texts):
        if name not in columns:
            raise UserError(f"{path} has no column `{shortened(name)}`; there are: {_listed(columns)}")
    if target is not None and target in texts:
        raise UserError(f"`{target}` is both read and answered; name another column by --text")
    answers = _answers(rows, target, form)
    if form:
        assumed.append(f"rows are {form.title}")
        others, inputs = [], {}
    else:
        others = [name for name in columns if name != target]
        if not texts:
            texts = _texts(path, rows, others)
            assumed.append(f"what is read is {_listed(texts)}; say others by --text")
    if kind is None:
        kind, why = _kind(answers)
        assumed.append(f"answers are of the kind `{kind}`, since {why}; say another by --kind")
    if not form:
        inputs = _named(texts, kind)
        others = [name for name in others if name not in texts]
        if others:
            assumed.append(f"left out: {_listed(others)}")
    ignored = [name for name in others if normalise(name) in CONTENT]
    return Look(path, kind, inputs, target, form, ignored, answers, assumed)


def _form(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Form:
    form = form_of(dict.fromkeys(columns), NOBODY)
    if form is None or not any(column in rows[0] for column in form.columns):
        raise UserError(f"say by --target which column of {path} is the answer; there are: {_listed(columns)}")
    return form


def _answers(rows: Sequence[Mapping[str, Any]], target: str | None, form: Form | None) -> list[Any]:
    found = []
    for row in rows:
        try:
            value = form.read(row).target if form else row.get(target)
        except (BadRow, KeyError):
            continue
        if value not in (None, ""):
            found.append(value)
    if not found:
        raise UserError(f"no row has an answer{f' in `{target}`' if target else ''}; name another column by --target")
    return found


def _texts(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Columns that hold texts; of short ones only the one with the longest."""
    lengths = {name: [len(row[name]) for row in rows if isinstance(row.get(name), str)] for name in columns}
    means = {name: fmean(own) for name, own in lengths.items() if 2 * len(own) > len(rows)}
    if not means:
        raise UserError(f"no column of {path} holds text beside the answers; name one by --text")
    return [name for name, mean in means.items() if mean >= SHORT] or [max(means, key=means.__getitem__)]


def _kind(answers: Sequence[Any]) -> tuple[str, str]:
    """The kind of answers, and why."""
    if all(map(_is_object, answers)):
        return "json", "all of them are JSON objects"
    texts = [normalise(str(spelt(each))) for each in answers]
    different, longest = len(set(texts)), max(map(len, texts))
    if 2 <= different <= MOST_LABELS and len(texts) >= REPEATED * different and longest <= LONGEST_LABEL:
        return "labels", f"{len(texts)} rows have {different} different ones"
    return "text", f"{len(texts)} rows have {different} different ones"


def _is_object(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, dict)
    try:
        return value.lstrip().startswith("{") and isinstance(parse_json(value), dict)
    except BadJson:
        return False


def _named(texts: Sequence[str], kind: str) -> dict[str, str]:
    """Columns by the names of inputs: the one that the kind of answers asks, or their own, as gaps may have them."""
    if len(texts) == 1:
        return {KINDS[kind].asked[0]: texts[0]}
    taken, named = {*OF_PREDICT, *KINDS[kind].Options.model_fields, KINDS[kind].column}, {}
    for text in texts:
        name = re.sub(r"[^a-z0-9]+", "_", normalise(text)).strip("_")[:LONGEST_NAME]
        if not re.match("[a-z]", name) or name in taken:
            name = f"text_{name}".rstrip("_")
        while name in named:
            name += "_"
        named[name] = text
    return named


def _listed(names: Sequence[str]) -> str:
    return shortened(", ".join(f"`{name}`" for name in names), 300)
