"""Rows as a teacher reads them that has a context before each question."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.records import Json, read_jsonl
from pipestill.models.rows import Row, RowEncoder
from pipestill.settings.contexts import TeacherContext
from pipestill.text.context import Context


def read_in_context(files: Sequence[Path], encoder: RowEncoder, settings: TeacherContext) -> dict[Path, list[Row]]:
    """The rows of each file, as :meth:`RowEncoder.answer` gives them.

    Args:
        files: of rows with ``question``, ``answer`` and the ids of their ``demonstrations``, which any file may hold.
        encoder: of the teacher.
        settings: of the context.

    Raises:
        UserError: a row lacks one of these, or names a row that is not there.
    """
    rows = {path: read_jsonl(path) for path in files}
    solved = {row["id"]: row for own in rows.values() for row in own}

    def context(row: Json, where: str) -> Context:
        try:
            shown = [solved[name] for name in row["demonstrations"]]
            pairs = tuple((each["question"], each.get("gold", each["answer"])) for each in shown)
        except KeyError as error:
            raise UserError(f"{where} has no {error} to show the teacher: make the training file again") from None
        return Context(settings.instruction, pairs, settings.prompt.separator)

    found: dict[Path, list[Row]] = {}
    for path, own in rows.items():
        found[path] = []
        for number, row in enumerate(own, 1):
            encoder.prompts.context = context(row, f"{path}, line {number}")
            found[path].append({"id": row["id"], **encoder.answer(row["question"], row["answer"])})
        encoder.prompts.report(str(path))
    return found
