"""KINDS: the token-wise divergences with their options, defaults and valid ranges. It imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipestill.errors import UserError


@dataclass(frozen=True)
class Option:
    """A setting of a divergence.

    Attributes:
        default: what holds where nothing is given; its type is the option's.
        summary: what it does, for the documentation.
        low: numbers lie above it, or equal it where ``low_included``.
        high: numbers lie below it.
        choices: valid words of a ``str`` option.
    """

    default: float | bool | str
    summary: str
    low: float = 0.0
    high: float = math.inf
    low_included: bool = False
    choices: tuple[str, ...] = ()

    @property
    def valid(self) -> str:
        """The valid values in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return " or ".join(self.choices)
        above = f"a number of at least {self.low:g}" if self.low_included else f"a number above {self.low:g}"
        return above if math.isinf(self.high) else f"{above} and below {self.high:g}"

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is valid."""
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if self.choices:
            return value in self.choices
        if not isinstance(value, int | float) or not math.isfinite(value):
            return False
        above = value >= self.low if self.low_included else value > self.low
        return above and value < self.high


@dataclass(frozen=True)
class Kind:
    """A divergence of the student's distribution q from the teacher's p.

    Attributes:
        summary: one line for tables and documentation.
        options: its settings by name.
        covers_teacher: infinite where p has mass and q has none.
        covers_student: infinite where q has mass and p has none.
    """

    summary: str
    options: dict[str, Option] = field(default_factory=dict)
    covers_teacher: bool = False
    covers_student: bool = False


KINDS: dict[str, Kind] = {
    "fkl": Kind("Forward Kullback-Leibler divergence KL(p, q).", covers_teacher=True),
    "rkl": Kind("Reverse Kullback-Leibler divergence KL(q, p).", covers_student=True),
    "jeffreys": Kind("KL(p, q) + KL(q, p).", covers_teacher=True, covers_student=True),
    "symmetric": Kind(
        "(1 - lam) KL(p, q) + lam KL(q, p).",
        {"lam": Option(0.5, "weight of the reverse divergence", high=1.0)},
        covers_teacher=True,
        covers_student=True,
    ),
    "jsd": Kind(
        "Generalised Jensen-Shannon divergence: beta KL(p, m) + (1 - beta) KL(q, m), m = beta p + (1 - beta) q.",
        {"beta": Option(0.5, "weight of the teacher", high=1.0)},
    ),
    "tvd": Kind("Total variation distance: half the sum of |p - q|."),
    "sfkl": Kind(
        "Skewed forward divergence: KL(p, lam p + (1 - lam) q).",
        {"lam": Option(0.1, "share of the teacher in the mixture", high=1.0)},
    ),
    "srkl": Kind(
        "Skewed reverse divergence: KL(q, (1 - lam) p + lam q).",
        {"lam": Option(0.1, "share of the student in the mixture", high=1.0)},
    ),
    "akl": Kind(
        "Adaptive divergence: KL(p, q) and KL(q, p) weighted by the gaps |p - q| of the teacher's head and tail.",
        {
            "alpha": Option(0.5, "probability of the part that is filled first", high=1.0),
            "order": Option(
                "ascending",
                "`ascending` fills the tail from the least likely token, as the ToDi repository does; `descending` the "
                "head from the most likely one, as the authors of AKL do",
                choices=("ascending", "descending"),
            ),
        },
        covers_teacher=True,
        covers_student=True,
    ),
    "todi": Kind(
        "ToDi: w KL(p, q) + (1 - w) KL(q, p) with a weight for each entry, w = sigmoid(beta log(p/q)).",
        {
            "beta": Option(1.0, "sharpness of the weights", low_included=True),
            "stop_gradient": Option(True, "whether the weights count as constants"),
        },
        covers_teacher=True,
        covers_student=True,
    ),
    "ab": Kind(
        "Alpha-beta divergence; (alpha, beta) near (1, 0) is KL(p, q), near (0, 1) KL(q, p).",
        {"alpha": Option(0.2, "exponent of the teacher"), "beta": Option(0.7, "exponent of the student")},
    ),
}


ALL_OPTIONS = frozenset(name for kind in KINDS.values() for name in kind.options)


def options_of(kind: str | None) -> dict[str, Option]:
    """Settings of a divergence; ``uld``, which is none of ``KINDS``, has none."""
    return KINDS[kind].options if kind in KINDS else {}


def complete_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of ``kind``: those given, and the defaults of the others.

    Raises:
        UserError: an unknown kind or option, or an invalid value.
    """
    if kind not in KINDS:
        raise UserError(f"There is no divergence {kind!r}; choose one of {', '.join(KINDS)}.")
    known = KINDS[kind].options
    for name, value in options.items():
        if name not in known:
            raise UserError(f"The divergence {kind} has no option {name!r}; it has {', '.join(known) or 'none'}.")
        if not known[name].accepts(value):
            raise UserError(f"Option {name} of the divergence {kind} must be {known[name].valid}, not {value!r}.")
    return {name: options.get(name, option.default) for name, option in known.items()}
