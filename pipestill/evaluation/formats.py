"""Numbers and lists as model cards and the report write them."""

from collections.abc import Sequence

MISSING = "–"
TOO_FEW = "too few to tell"


def number(value: float | None, decimals: int = 3) -> str:
    """``0.734``; a dash for what was not measured."""
    return MISSING if value is None else f"{value:.{decimals}f}".replace("-", "−")


def signed(value: float, decimals: int = 3) -> str:
    """``+0.052``, ``−0.010``, or ``0.000`` for what rounds to nothing."""
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text if float(text[1:]) else text[1:]


def percent(value: float, decimals: int = 0) -> str:
    """``85%``, ``−4%``."""
    text = f"{value:.{decimals}%}"
    return (text if float(text[:-1]) else text.lstrip("-")).replace("-", "−")


def bracket(ci95: Sequence[float] | None, decimals: int = 3) -> str:
    """``[0.701, 0.766]``; ``[too few to tell]`` where examples are."""
    if ci95 is None:
        return f"[{TOO_FEW}]"
    return f"[{number(ci95[0], decimals)}, {number(ci95[1], decimals)}]"


def p_value(p: float | None) -> str:
    """``0.012``, ``< 0.001``, or a dash."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float | None) -> str:
    """``0.8 s``, ``24 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if value is None:
        return MISSING
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes_rest = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_rest:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def milliseconds(value: float | None) -> str:
    """``0.34 ms``, ``3.4 ms``, ``212 ms``, ``1.2 s``."""
    if value is None or value >= 1000:
        return seconds(value and value / 1000)
    return f"{value:.{0 if value >= 100 else 1 if value >= 1 else 2}f} ms"


def dollars(value: float | None) -> str:
    """``$0.00``, ``$0.0042``, ``$1,204.50``, or a dash for what is not known."""
    if value is None:
        return MISSING
    return f"${value:,.4f}" if 0 < value < 1 else f"${value:,.2f}"


def megabytes(value: float | None) -> str:
    """``812 MB`` or ``2.3 GB``."""
    if value is None:
        return MISSING
    return f"{value:.0f} MB" if value < 1000 else f"{value / 1000:.1f} GB"


def size(value: float | None) -> str:
    """``0 B``, ``48 kB``, ``1.2 MB``, ``2.3 GB``: bytes, in powers of ten."""
    if value is None:
        return MISSING
    for least, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= least:
            return f"{value / least:.{0 if value >= 10 * least else 1}f} {unit}"
    return f"{value:.0f} B"


def count(value: float | None) -> str:
    """``950``, ``1.06 M``, ``131 k``."""
    if value is None:
        return MISSING
    for least, size, unit in ((999.5e6, 1e9, "G"), (999.5e3, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def listing(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def plural(n: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
