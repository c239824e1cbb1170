"""Formats of strings: the pattern that answers are written by, and an independent check of values.

A format that is not here is refused. Patterns may allow less than their format does: what is written by them is valid.
Sources: RFC 3339 (dates, times, durations), RFC 5321 and 1123 (mail, hosts), RFC 3986 (URIs), RFC 9562 (UUIDs).
"""

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from datetime import date

_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    "(?:(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-"  # the year 0 is none
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP}-02-29)"
)
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
_HOST = f"{_LABEL}(?:\\.{_LABEL}){{0,3}}"
_IN_PATH = "[A-Za-z0-9._~!$&'()*+,;=:@-]"
PATTERNS: dict[str, str | None] = {  # of what is written; None: the engine's own
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": "P(?:[0-9]{1,4}W|[0-9]{1,4}D(?:T[0-9]{1,4}H)?|[0-9]{1,4}Y(?:[0-9]{1,4}M)?|T[0-9]{1,4}[HMS])",
    "email": f"[A-Za-z0-9_+-]{{1,24}}(?:\\.[A-Za-z0-9_+-]{{1,12}}){{0,3}}@{_LABEL}(?:\\.{_LABEL}){{1,3}}",
    "hostname": _HOST,
    "ipv4": None,
    "ipv6": None,
    "uri": f"[a-z][a-z0-9+-]{{0,9}}://{_HOST}(?::[0-9]{{1,4}})?(?:/{_IN_PATH}{{0,32}}){{0,8}}"
    f"(?:\\?{_IN_PATH}{{0,64}})?(?:#{_IN_PATH}{{0,32}})?",
    "uuid": None,
}


def _is_date(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)) and bool(date.fromisoformat(text))


def _is_time(text: str) -> bool:
    found = re.fullmatch(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-]([0-9]{2}):([0-9]{2}))", text)
    if not found:
        return False
    hours, minutes, seconds, _, _, *zone = found.groups()
    leap = seconds == "60" and minutes == "59"  # a leap second ends an hour everywhere but in half-hour zones
    within = int(hours) < 24 and int(minutes) < 60 and (int(seconds) < 60 or leap)
    return within and (zone[0] is None or (int(zone[0]) < 24 and int(zone[1]) < 60))


def _is_moment(text: str) -> bool:
    return len(text) > 11 and text[10] in "Tt" and _is_date(text[:10]) and _is_time(text[11:])


def _is_duration(text: str) -> bool:
    # RFC 3339, appendix A: units in order, none left out between two, weeks alone
    days, times = "(?:{0}D|{0}M(?:{0}D)?|{0}Y(?:{0}M(?:{0}D)?)?)", "(?:{0}S|{0}M(?:{0}S)?|{0}H(?:{0}M(?:{0}S)?)?)"
    whole = f"P(?:(?:{days}(?:T{times})?)|T{times}|{{0}}W)".replace("{0}", "[0-9]+")
    return bool(re.fullmatch(whole, text))


def _is_host(text: str) -> bool:
    label = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    return len(text) <= 253 and bool(re.fullmatch(rf"{label}(\.{label})*", text))


def _is_email(text: str) -> bool:
    local, at, host = text.rpartition("@")
    plain = re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", local)
    return bool(at and plain) and len(local) <= 64 and _is_host(host)


def _is_uri(text: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:(%[0-9A-Fa-f]{2}|[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-])*", text):
        return False
    split = urllib.parse.urlsplit(text)  # raises ValueError for brackets that hold no address
    return (split.port is None or split.port >= 0) and text.count("#") < 2


def _is_uuid(text: str) -> bool:
    return bool(re.fullmatch("[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}", text))


CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_moment,
    "duration": _is_duration,
    "email": _is_email,
    "hostname": _is_host,
    "ipv4": lambda text: bool(ipaddress.IPv4Address(text)),
    "ipv6": lambda text: "%" not in text and bool(ipaddress.IPv6Address(text)),
    "uri": _is_uri,
    "uuid": _is_uuid,
}


def has_format(text: str, name: str) -> bool:
    """Whether ``text`` is of the format ``name``, one of ``CHECKS``."""
    try:
        return CHECKS[name](text)
    except ValueError:
        return False
