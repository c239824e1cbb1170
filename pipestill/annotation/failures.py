"""Failures of calls and their consequences: ask again, give up the record, or stop the run."""

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipestill.annotation.answer import Answer
from pipestill.errors import UserError

REFUSED = 4  # exit code: the provider refused, or left records without an answer
REPEATABLE = {408, 409, 425, 429}  # and all from 500: the same request may succeed later
RATE_LIMIT = 429


@dataclass(eq=False)
class CallFailed(Exception):
    """A call that brought no usable answer.

    Attributes:
        kind: ``transient`` (ask again), ``permanent`` (this request never succeeds), ``fatal`` (no request will).
        reason: class of the failure in the statistics.
        message: for people, without secrets.
        status: HTTP status, or the code of an error that came with status 200.
        retry_after: seconds that the provider asks to wait.
        charged: whether the call may have cost something, as it does once an answer is being written.
        answer: the unusable answer, if there is one.
    """

    kind: Literal["transient", "permanent", "fatal"]
    reason: str
    message: str
    status: int | None = None
    retry_after: float | None = None
    charged: bool = False
    answer: Answer | None = None

    def __str__(self) -> str:  # noqa: D105
        return f"{self.reason}: {self.message}"


class Refused(UserError):
    """The provider accepts no more requests of this run, or left records without an answer."""

    exit_code = REFUSED


def by_status(status: int, message: str, headers: Mapping[str, str], error: Any, charged: bool = False) -> CallFailed:
    """The failure behind an HTTP status, or behind the code of an error that came with status 200.

    Args:
        status: the status or code.
        message: for people, without secrets.
        headers: of the answer.
        error: the ``error`` object of the body, if any.
        charged: whether the call may have cost something.
    """
    wait = retry_after(headers)

    def failed(kind: Literal["transient", "permanent", "fatal"], reason: str) -> CallFailed:
        return CallFailed(kind, reason, f"{message} (status {status})", status, wait, charged)

    if status in REPEATABLE or status >= 500:
        names = {408: "timeout", RATE_LIMIT: "rate_limit"}
        return failed("transient", names.get(status, "server_error" if status >= 500 else "conflict"))
    if status == 402:  # with Retry-After the credit is only bound by requests under way
        return failed("fatal", "credits") if wait is None else failed("transient", "credits")
    if status == 401 or (status == 403 and not _is_moderation(error)):
        return failed("fatal", "key")
    return failed("permanent", "moderation" if status == 403 else "rejected")


def _is_moderation(error: Any) -> bool:
    metadata = error.get("metadata") if isinstance(error, Mapping) else None
    return isinstance(metadata, Mapping) and bool({"reasons", "flagged_input"} & set(metadata))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``Retry-After`` (seconds or a date, RFC 9110) or ``retry-after-ms``; None without either."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None
