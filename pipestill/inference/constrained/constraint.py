"""What answers follow, as generation knows it."""

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipestill.inference.constrained.batch import write_batch
from pipestill.inference.constrained.engine import Engine
from pipestill.inference.decoding import Choose
from pipestill.inference.rows import Hear, Written

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix


class Constraint(Engine):
    """Answers that follow a schema; made by :meth:`of`."""

    def answer_batch(
        self,
        model,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        choose: Choose,
        draws: Sequence[random.Random],
        prefix: "SharedPrefix | None" = None,
        hear: Hear | None = None,
    ) -> Iterator[tuple[int, Written]]:
        """Answers to one batch; as :func:`~pipestill.inference.generation.answer_batch`."""
        return write_batch(model, prompts, max_new_tokens, choose, draws, self, prefix, hear=hear)
