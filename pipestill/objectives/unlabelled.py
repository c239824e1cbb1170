"""Records without gold outputs: prompts that a study's teacher answers for its students."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from pipestill.errors import UserError
from pipestill.io.normal import normalise
from pipestill.io.records import Record, of_split
from pipestill.layouts.any_rows import read_any
from pipestill.layouts.base import Cropping
from pipestill.layouts.columns import Row
from pipestill.layouts.example import BadRow
from pipestill.layouts.reading import id_of
from pipestill.settings.jobs import UnlabelledSettings
from pipestill.tasks import Task


def of_training_split(records: Sequence[Record], labelled: Collection[str]) -> list[Record]:
    """Records of the training split without what is known of their answers, but for those whose ids are ``labelled``.

    Raises:
        UserError: none is left.
    """
    found = [_bare(each.id, each) for each in of_split(records, "train") if each.id not in labelled]
    if not found:
        raise UserError(
            f"all {len(labelled)} training rows have their gold outputs, and none is left for `unlabelled`: lower "
            "`train_rows`, or name an `unlabelled.file`"
        )
    return found


def of_file(
    task: Task, path: Path, settings: UnlabelledSettings, how: Cropping, records: Sequence[Record]
) -> list[Record]:
    """Records of the inputs in a file; questions of ``records``, whatever their split, are left out, and repeated ones.

    Args:
        task: of the inputs.
        path: of a table, JSON Lines, a JSON list or Parquet, with a column for each input, and for what the task's
            layout asks for beside them; others are not read.
        settings: how it is read.
        how: inputs are cropped.
        records: of the task, cropped in the same way.

    Raises:
        UserError: a row lacks an input, or none is left.
    """
    options = task.layout.Options.model_validate(settings.data)
    seen, found, asked = {each.question for each in records}, [], 0
    for place, inputs, fields in _rows(task, path, options.columns):
        if missing := settings.prompt.missing(inputs):
            listed = " and ".join(f"`{name}`" for name in missing)
            raise UserError(f"{path}, line {place}: {listed} says nothing; give it text, or remove the row")
        asked += 1
        cropped = task.layout.crop(replace(task.layout.request(inputs, fields), split="train"), options, how)
        if cropped.question not in seen:
            seen.add(cropped.question)
            found.append(_bare(id_of(task, normalise("\n".join(inputs.values()))), cropped))
    if not found:
        raise UserError(f"{path}: none of {asked} rows asks what the task's own data do not; name another file")
    print(f"{len(found)} prompts of {asked} rows; the others repeat one, or are in the task's own data")
    return found


def draw(records: Sequence[Record], rows: int | None, seed: int) -> list[Record]:
    """At most ``rows`` records in a seeded order; fewer are a subset of more."""
    drawn = list(records)
    Random(f"unlabelled {seed}").shuffle(drawn)
    return drawn[:rows]


def _bare(name: str, record: Record) -> Record:
    return Record(name, "train", record.inputs, "", [], test_set=record.test_set, subset=record.subset)


def _rows(task: Task, path: Path, columns: dict[str, str]) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """Line, inputs and fields of each row."""
    for place, content in read_any(path, str(path)):
        if isinstance(content, BadRow):
            raise UserError(f"{path}, line {place}: {content}; correct the row or remove it")
        row = Row(content, columns)
        texts = {name: row[name] for name in (*task.inputs, *task.layout.fields) if name in row}
        wrong = [name for name in (*task.inputs, *texts) if not isinstance(texts.get(name), str)]
        if wrong:
            raise UserError(
                f"{path}, line {place}: there is no text `{row.called(wrong[0])}`; each row has a column for each of "
                f"{', '.join(task.inputs)}"
            )
        yield (
            place,
            {name: texts[name].strip() for name in task.inputs},
            {name: texts[name] for name in task.layout.fields if name in texts},
        )
