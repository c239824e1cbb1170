"""Append-only files of what was paid for."""

import json
from pathlib import Path

from pipestill.errors import UserError
from pipestill.job.row_log import RowLog


def open_journal(path: Path) -> RowLog:
    """The rows of ``path``, which need not exist; a torn last line, from a kill, is dropped.

    Raises:
        UserError: another line is broken. It is not skipped: what it says was paid for.
    """
    try:
        return RowLog(path)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds a line that is not one of its own ({error}): mend it, or remove it") from None
