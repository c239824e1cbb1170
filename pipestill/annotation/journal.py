"""Append-only files of paid calls and answers."""

import json
from pathlib import Path

from pipestill.errors import UserError
from pipestill.job.row_log import RowLog


def open_journal(path: Path) -> RowLog:
    """Open the rows of ``path``, which need not exist; a last line that a kill tore is dropped.

    Raises:
        UserError: another line is broken. It is not skipped, since it was paid for.
    """
    try:
        return RowLog(path)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds a line that is not one of its own ({error}): mend it, or remove it") from None
