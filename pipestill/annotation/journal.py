"""Append-only files of paid calls and answers."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.job.row_log import RowLog


def open_journal(path: Path, fields: Sequence[str]) -> RowLog:
    """Open the rows of ``path``, which need not exist; a last line that a kill tore is dropped.

    Raises:
        UserError: another line is broken, or lacks one of ``fields``. It is not skipped, since it was paid for.
    """
    journal = RowLog(path, paid=True)
    for key, row in journal.rows.items():
        for field in fields:
            if field not in row:
                raise UserError(f"{path} holds a line that is not one of its own (`{key}` lacks `{field}`): mend it")
    return journal
