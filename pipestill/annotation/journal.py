"""Append-only files of paid calls and answers; a damaged line is named, and costs no other."""

from pathlib import Path

from pipestill.job.row_log import RowLog

ANSWER = ("text", "finish_reason", "model", "provider", "latency_s")
CALL = ("request", "reserved")


def open_answers(path: Path) -> RowLog:
    """The answers of ``path``, which need not exist, by request."""
    return RowLog(path, paid=True, fields=ANSWER)


def open_calls(path: Path) -> RowLog:
    """The calls of ``path``, which need not exist, by number."""
    return RowLog(path, paid=True, fields=CALL)
