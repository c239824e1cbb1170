"""KINDS: the token-wise divergences of a student's distribution q from a teacher's p, with their options. No torch.

Formulas stand at the functions in :mod:`pipestill.losses.divergences`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from pipestill.errors import UserError
from pipestill.settings.section import Part, Section

Exponent = Annotated[float, Field(ge=1e-6, le=10)]
Sharpness = Annotated[float, Field(ge=0, le=1000)]


class NoOptions(Section):
    """Options of a divergence without any."""


class Symmetric(Section):
    """Options of the weighted mean of both directions."""

    reruns: ClassVar = {"*": "distribution_fidelity train"}

    lam: Part = 0.5
    """Weight of the reverse divergence."""


class Jsd(Section):
    """Options of the generalised Jensen-Shannon divergence."""

    reruns: ClassVar = {"*": "distribution_fidelity train"}

    beta: Part = 0.5
    """Weight of the teacher in the mixture."""


class Skewed(Section):
    """Options of the skewed divergences."""

    reruns: ClassVar = {"*": "distribution_fidelity train"}

    lam: Part = 0.1
    """Share that the other distribution has in the mixture: the teacher for sfkl, the student for srkl."""


class Akl(Section):
    """Options of the adaptive divergence."""

    reruns: ClassVar = {"*": "distribution_fidelity train"}

    alpha: Part = 0.5
    """Probability of the part that is filled first."""
    order: Literal["ascending", "descending"] = "ascending"
    """`ascending` fills the tail from the least likely token, as the ToDi repository does; `descending` the head from
    the most likely one, as the authors of AKL do."""


class ToDi(Section):
    """Options of ToDi."""

    reruns: ClassVar = {"*": "distribution_fidelity train"}

    beta: Sharpness = 1.0
    """Sharpness of the weights."""
    stop_gradient: bool = True
    """Hold the weights constant."""


class Ab(Section):
    """Options of the alpha-beta divergence."""

    reruns: ClassVar = {"*": "distribution_fidelity train"}

    alpha: Exponent = 0.2
    """Exponent of the teacher."""
    beta: Exponent = 0.7
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
    "fkl": Kind(covers_teacher=True),
    "rkl": Kind(covers_student=True),
    "jeffreys": Kind(covers_teacher=True, covers_student=True),
    "symmetric": Kind(Symmetric, covers_teacher=True, covers_student=True),
    "jsd": Kind(Jsd),
    "tvd": Kind(),
    "sfkl": Kind(Skewed),
    "srkl": Kind(Skewed),
    "akl": Kind(Akl, covers_teacher=True, covers_student=True),
    "todi": Kind(ToDi, covers_teacher=True, covers_student=True),
    "ab": Kind(Ab),
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
        known = ", ".join(section.model_fields) or "none"
        raise UserError(
            f"Option {first['loc'][0]!r} of the divergence {kind}: {first['msg']}, not {first['input']!r}; its options "
            f"are: {known}."
        ) from None
