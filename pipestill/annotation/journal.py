"""Append-only files of paid calls and answers; a damaged line is named, and costs no other."""

from collections.abc import Collection
from pathlib import Path

from pipestill.job.row_log import RowLog


def open_journal(path: Path, fields: Collection[str] = ()) -> RowLog:
    """Open the rows of ``path``, which need not exist and have all of ``fields``; a last line that a kill tore goes."""
    return RowLog(path, paid=True, fields=fields)
