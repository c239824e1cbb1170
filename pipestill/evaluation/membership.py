"""Membership of a run's examples in test sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipestill.io.sequences import Named


@dataclass(frozen=True)
class Membership:
    """The test sets of a run's examples.

    Attributes:
        of_examples: name of each example's test set, ``[examples]``; none where examples are of no test set.
    """

    of_examples: Sequence[str | None]

    def __post_init__(self) -> None:
        """Names are numbers from here on."""
        if not isinstance(self.of_examples, Named):
            object.__setattr__(self, "of_examples", Named.of(self.of_examples))

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Examples of each test set, in the order in which they come."""
        return {name: count for name, count in self.of_examples.counts().items() if name is not None}

    @cached_property
    def strata(self) -> np.ndarray | None:
        """The group that each example is resampled within, ``[examples]``; none where there are no test sets."""
        places = {name: place for place, name in enumerate(sorted(self.sizes))}
        return self.of_examples.mapped(lambda name: places.get(name, -1)) if places else None

    @property
    def weights(self) -> np.ndarray:
        """Weight of each example in a mean that all test sets count the same in, ``[examples]``."""
        return self.of_examples.mapped(lambda name: 1 / self.sizes.get(name, 1))

    def members(self, name: str) -> np.ndarray:
        """1.0 for each example of a test set, else 0.0, ``[examples]``."""
        return self.of_examples.mapped(lambda each: float(each == name))
