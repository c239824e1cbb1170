"""Rounds of trainings on own answers, and how paths of results name them."""

import re
from typing import NamedTuple, Self

PART = r"(/round_\d+)?"  # behind the directory of a run: a round but the last, which ends the run
STORE = r"own/[a-z0-9_-]+/seed_\d+/round_\d+"


class Round(NamedTuple):
    """A round of one run of a study.

    Attributes:
        method: of the run.
        seed: of the run.
        number: from 1; 0: the run has no rounds.
    """

    method: str
    seed: int
    number: int

    @property
    def store(self) -> str:
        """Name of what is stored of the teacher about the answers of the round."""
        return f"own/{self.method}/seed_{self.seed}/round_{self.number}"

    @classmethod
    def of_store(cls, name: str) -> Self | None:
        """The round whose store has a name; none: it is of no round."""
        if not re.fullmatch(STORE, name):
            return None
        _, method, seed, number = name.split("/")
        return cls(method, _number(seed), _number(number))


def number_of(part: str) -> int:
    """The number in what :data:`PART` finds; 0: there is none."""
    return _number(part) if part else 0


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])
