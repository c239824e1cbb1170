"""Failures of calls and their consequences: ask again, give up the record, or stop the run."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipestill.annotation.answer import Answer
from pipestill.annotation.waits import wait_of
from pipestill.errors import UserError

Kind = Literal["transient", "permanent", "fatal"]

REFUSED = 4  # exit code: the provider refused, or left records without an answer
REPEATABLE = {408, 409, 425, 429}  # and all from 500: the same request may succeed later
RATE_LIMIT = 429
REMEDIES = {  # for what no request survives
    "address": "check `model`, `base_url` and `routing`",
    "credits": "add credit, and run again",
    "key": "check the key and what it may do",
    "quota": "run again later",
}
STUBBORN = ("refusal", "tool_call")  # of the model itself, which is asked once more
GIVEN_UP = {408, 499, 504, 520, 524, 598, 599}  # waiting for the model, by a gateway; the model may have answered
LONGEST_ERROR = 10_000  # characters in which a meaning is looked for
MODERATION = re.compile(
    r"flagged|moderat|\"reasons\"|(content|data).{0,20}(polic|filter|inspection)|harmful|unsafe|inappropriate|safety",
    re.IGNORECASE,
)
LONG_LIMIT = re.compile(r"(per|/)[-_ ]?(day|month)|daily|monthly|\b[rt]pd\b|insufficient[-_ ]quota", re.IGNORECASE)
NO_MODEL = re.compile(
    r"model[-_ ]?(id )?not[-_ ]?found|(not a valid|invalid|unknown|no such) model"
    r"|model.{0,100}(does not exist|not found|is not available)",
    re.IGNORECASE,
)


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

    kind: Kind
    reason: str
    message: str
    status: int | None = None
    retry_after: float | None = None
    charged: bool = False
    answer: Answer | None = None

    def __str__(self) -> str:  # noqa: D105
        return f"{self.reason}: {self.message}"

    @property
    def is_out_of_reach(self) -> bool:
        """True if nothing could be sent at all."""
        return self.reason == "connection" and not self.charged

    @property
    def verdict(self) -> str | None:
        """What a model said that will not change much when it is asked again; None for failures of other kinds."""
        if self.reason in STUBBORN:
            return self.reason
        return self.answer.text if self.reason == "invalid" and self.answer else None


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
        charged: whether the call may have cost something, whatever the status.
    """
    wait = wait_of(headers, error, status == RATE_LIMIT, time.time())
    kind, reason = _meaning(status, _said(error), wait)
    return CallFailed(kind, reason, f"{message} (status {status})", status, wait, charged or status in GIVEN_UP)


def _meaning(status: int, said: str, wait: float | None) -> tuple[Kind, str]:
    if status == RATE_LIMIT:
        endless = wait is None and LONG_LIMIT.search(said)
        return ("fatal", "quota") if endless else ("transient", "rate_limit")
    if status in REPEATABLE or status >= 500:
        return "transient", "timeout" if status == 408 else "server_error" if status >= 500 else "conflict"
    if status == 402:  # with a time to wait, the credit is only bound by requests under way
        return "fatal" if wait is None else "transient", "credits"
    if status in (400, 403, 451) and MODERATION.search(said):
        return "permanent", "moderation"
    if status in (400, 403, 422) and NO_MODEL.search(said):
        return "fatal", "address"
    if status in (401, 403):
        return "fatal", "key"
    if status < 400 or status in (404, 405, 410):  # nothing is there, or no such model: the same for every request
        return "fatal", "address"
    return "permanent", "rejected"


def _said(error: Any) -> str:
    """All that an error says, for patterns: the company that was asked is quoted in its parts."""
    try:
        return (error if isinstance(error, str) else json.dumps(error))[:LONGEST_ERROR]
    except RecursionError:
        return ""
