"""When a provider takes requests again, from all that providers say about it."""

import email.utils
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

AFTER = ("retry-after-ms", "retry-after", "retry_after_ms", "retry_after", "retry_after_seconds", "retrydelay")
RESET = re.compile(r".*rate-?limit.*reset.*")
FIRST_DATE = 1e9  # a number of seconds from here on is a date, in seconds since 1970
FIRST_DATE_IN_MS = 1e11  # and from here on in milliseconds
DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
UNITS = (86400, 3600, 60, 1, 0.001)


def wait_of(headers: Mapping[str, str], error: Any, limited: bool, now: float) -> float | None:
    """Seconds to wait, by ``Retry-After`` and its like, or else by the reset of a limit; None if nothing says so.

    Args:
        headers: of the reply.
        error: the ``error`` object of its body, which may hold the headers of the company that was asked.
        limited: whether a limit of the rate was reached; resets are told with other replies too.
        now: seconds since 1970.
    """
    facts = {name.lower(): str(value) for name, value in _facts(headers, error) if isinstance(value, str | int | float)}
    for name in AFTER:
        wait = seconds(facts.get(name, ""), now, 0.001 if name.endswith("ms") else 1.0)
        if wait is not None:
            return wait
    waits = {name: seconds(text, now) for name, text in facts.items() if limited and RESET.fullmatch(name)}
    told = {name: wait for name, wait in waits.items() if wait is not None}
    used_up = [wait for name, wait in told.items() if facts.get(name.replace("reset", "remaining")) == "0"]
    return max(used_up or told.values(), default=None)


def seconds(text: str, now: float, unit: float = 1.0) -> float | None:
    """Seconds from ``now`` until what ``text`` says: a number of units, a duration such as ``6m0s``, or a date."""
    try:
        number = float(text) * unit
    except ValueError:
        return _until(text.strip(), now)
    if not math.isfinite(number):
        return None
    if number >= FIRST_DATE_IN_MS:
        number /= 1000
    return max(0.0, number - now if number >= FIRST_DATE else number)


def _until(text: str, now: float) -> float | None:
    duration = DURATION.fullmatch(text)
    if text and duration:
        return sum(float(count) * unit for count, unit in zip(duration.groups(), UNITS, strict=True) if count)
    for parse in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(text)
            return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def _facts(headers: Mapping[str, str], error: Any) -> Iterator[tuple[str, Any]]:
    """Headers, and what stands for them in a body; of one name, the last one counts."""
    details = _part(error, "details", list) or []
    metadata = _part(error, "metadata", Mapping)
    for source in (error, *details, metadata, _part(metadata, "headers", Mapping), headers):
        if isinstance(source, Mapping):
            yield from source.items()


def _part(whole: Any, name: str, kind: type) -> Any:
    part = whole.get(name) if isinstance(whole, Mapping) else None
    return part if isinstance(part, kind) else None
