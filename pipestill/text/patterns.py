"""Regular expressions that a configuration brings along: a search ends, whatever the expression is."""

from pipestill.errors import UserError, quoted

LIMIT_S = 2.0  # of processor time, of one search
PROBE_S = 0.1
PROBE = 1000  # characters


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression, and one that takes for ever on a text of equal characters.

    Raises:
        ValueError: says which.
    """
    import regex

    try:
        compiled = regex.compile(pattern)
        for char in dict.fromkeys(f"a0 {pattern}"):
            compiled.search(f"{char * PROBE}\n!", timeout=PROBE_S)
    except regex.error as error:
        raise ValueError(f"{quoted(pattern)} is not a regular expression: {error}") from None
    except TimeoutError:
        raise ValueError(
            f"{quoted(pattern)} takes for ever on some texts; write it without repetitions inside of repetitions"
        ) from None


def occurs(pattern: str, text: str) -> bool:
    """True if ``pattern`` is found in ``text``.

    Raises:
        UserError: nobody could tell within ``LIMIT_S`` seconds.
    """
    import regex  # its searches have a limit, which those of `re` have not

    try:
        return regex.search(pattern, text, timeout=LIMIT_S) is not None
    except TimeoutError:
        raise UserError(
            f"the pattern {quoted(pattern)} was searched for {LIMIT_S:g} s in a text of {len(text)} characters: write "
            "it without repetitions inside of repetitions"
        ) from None
