"""Membership of a run's examples in test sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Membership:
    """The test sets of a run's examples.

    Attributes:
        of_examples: name of each example's test set, ``[examples]``; none where examples are of no test set.
    """

    of_examples: Sequence[str | None]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Examples of each test set, in the order in which they come."""
        return {name: self.of_examples.count(name) for name in dict.fromkeys(self.of_examples) if name is not None}

    @cached_property
    def strata(self) -> np.ndarray | None:
        """The group that each example is resampled within, ``[examples]``; none where there are no test sets."""
        return np.unique(self.of_examples, return_inverse=True)[1] if self.sizes else None

    @cached_property
    def weights(self) -> np.ndarray:
        """Weight of each example in a mean that all test sets count the same in, ``[examples]``."""
        return np.array([1 / self.sizes.get(name, 1) for name in self.of_examples])

    def members(self, name: str) -> np.ndarray:
        """1.0 for each example of a test set, else 0.0, ``[examples]``."""
        return np.array([float(each == name) for each in self.of_examples])
