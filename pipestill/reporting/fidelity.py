"""Fidelity of a cache of the teacher's distributions: its gradients, against the exact ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.methods import METHODS

LARGE_ANGLE = 20  # degrees between the cached gradient and the exact one


@dataclass(frozen=True)
class CachedGradient:
    """The gradient of one method's divergence, from the cache.

    Attributes:
        title: of the method.
        tail: what stands for tokens that are not stored.
        angle: in degrees, to the exact gradient.
        norm_ratio: of its length and that of the exact one.
    """

    title: str
    tail: str | None
    angle: float
    norm_ratio: float

    @property
    def large(self) -> bool:
        """True if it points so far away that the method learns something else."""
        return self.angle > LARGE_ANGLE


@dataclass(frozen=True)
class Fidelity:
    """The measured fidelity of a study's cache."""

    study: str
    codec: str
    bytes_per_token: float
    tokens: int
    gradients: list[CachedGradient]

    @property
    def large(self) -> list[CachedGradient]:
        """Those that point too far away."""
        return [each for each in self.gradients if each.large]


def read_fidelity(paths: Sequence[Path]) -> dict[str, Fidelity]:
    """The measured fidelity of caches, by study.

    Raises:
        UserError: a file is missing or is not what ``distribution_fidelity`` writes.
    """
    by_study = {}
    for path in paths:
        try:
            content = read_json(path)
            facts = [content[key] for key in ("study", "codec", "bytes_per_token", "tokens")]
            rows = [
                (METHODS[method].title, *(row[key] for key in ("tail", "angle", "norm_ratio")))
                for method, row in content["methods"].items()
            ]
        except (KeyError, TypeError, AttributeError):
            raise UserError(f"{path} does not say how exact a cache is: make it again") from None
        by_study[content["study"]] = Fidelity(*facts, [CachedGradient(*row) for row in rows])
    return by_study
