"""The one exception for mistakes that a user can mend, and how its sentence repeats what was given."""

import json
import re

LONGEST = 80  # characters of a value or a name that a sentence repeats
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class UserError(Exception):
    """Bad input, configuration or environment: one sentence with the fault, its place and the remedy."""

    exit_code = 1


def shortened(text: object, longest: int = LONGEST) -> str:
    """A text on one line, without its middle where it is longer than ``longest`` characters."""
    line = _UNPRINTABLE.sub(" ", str(text))
    if len(line) <= longest:
        return line
    kept = (longest - 3) // 2
    return f"{line[:kept]}...{line[-kept:]}"


def quoted(value: object) -> str:
    """A value as JSON, shortened."""
    return shortened(json.dumps(value, ensure_ascii=False, default=str))


def first_line(error: Exception) -> str:
    """The first line of an error's message; its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
