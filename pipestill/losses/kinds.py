"""KINDS: the token-wise divergences of a student's distribution q from a teacher's p, with their options. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from pipestill.errors import UserError
from pipestill.settings.section import Section

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Inside = Annotated[float, Field(gt=0, lt=1)]


class NoOptions(Section):
    """Options of a divergence without any."""


class Symmetric(Section):
    """Options of the weighted mean of both directions."""

    lam: Inside = 0.5
    """Weight of the reverse divergence."""


class Jsd(Section):
    """Options of the generalised Jensen-Shannon divergence."""

    beta: Inside = 0.5
    """Weight of the teacher in the mixture."""


class Skewed(Section):
    """Options of the skewed divergences."""

    lam: Inside = 0.1
    """Share that the other distribution has in the mixture: the teacher for sfkl, the student for srkl."""


class Akl(Section):
    """Options of the adaptive divergence."""

    alpha: Inside = 0.5
    """Probability of the part that is filled first."""
    order: Literal["ascending", "descending"] = "ascending"
    """`ascending` fills the tail from the least likely token, as the ToDi repository does; `descending` the head from
    the most likely one, as the authors of AKL do."""


class ToDi(Section):
    """Options of ToDi."""

    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Sharpness of the weights."""
    stop_gradient: bool = True
    """Hold the weights constant."""


class Ab(Section):
    """Options of the alpha-beta divergence."""

    alpha: Positive = 0.2
    """Exponent of the teacher."""
    beta: Positive = 0.7
    """Exponent of the student."""


@dataclass(frozen=True)
class Kind:
    """A divergence.

    Attributes:
        options: its settings.
        covers_teacher: infinite where p has mass and q has none.
        covers_student: infinite where q has mass and p has none.
    """

    options: type[Section] = NoOptions
    covers_teacher: bool = False
    covers_student: bool = False


KINDS: dict[str, Kind] = {
    "fkl": Kind(covers_teacher=True),  # KL(p, q)
    "rkl": Kind(covers_student=True),  # KL(q, p)
    "jeffreys": Kind(covers_teacher=True, covers_student=True),  # KL(p, q) + KL(q, p)
    "symmetric": Kind(Symmetric, covers_teacher=True, covers_student=True),  # (1 - lam) KL(p, q) + lam KL(q, p)
    "jsd": Kind(Jsd),  # beta KL(p, m) + (1 - beta) KL(q, m), m = beta p + (1 - beta) q
    "tvd": Kind(),  # half the sum of |p - q|
    "sfkl": Kind(Skewed),  # KL(p, lam p + (1 - lam) q)
    "srkl": Kind(Skewed),  # KL(q, (1 - lam) p + lam q)
    "akl": Kind(Akl, covers_teacher=True, covers_student=True),  # both, weighted by the gaps of head and tail
    "todi": Kind(ToDi, covers_teacher=True, covers_student=True),  # w KL(p, q) + (1 - w) KL(q, p) by entry
    "ab": Kind(Ab),  # alpha-beta divergence; near (1, 0) it is KL(p, q), near (0, 1) KL(q, p)
}


def complete_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of ``kind``: those given, and the defaults of the others.

    Raises:
        UserError: an unknown kind or option, or an invalid value.
    """
    if kind not in KINDS:
        raise UserError(f"There is no divergence {kind!r}; choose one of {', '.join(KINDS)}.")
    section = KINDS[kind].options
    try:
        return section.model_validate(options, strict=True).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(section.model_fields) or "none"
        raise UserError(
            f"Option {name!r} of the divergence {kind}: {first['msg']}; its options are: {known}."
        ) from None
