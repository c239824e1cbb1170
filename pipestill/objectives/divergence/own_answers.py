"""Answers of the student's own that steps learn from: which steps do, and what is kept for later ones."""

from collections import deque
from collections.abc import Iterable, Sequence
from random import Random
from typing import Literal

from pipestill.io.records import Json
from pipestill.settings.on_policy import OnPolicy

Source = Literal["rows", "new", "kept"]
Written = tuple[int, list[int]]  # place of the row that is answered, and tokens of the answer


class OwnAnswers:
    """The course of an on-policy training.

    A step learns from own answers with the probability ``share``: lambda in algorithm 1 of GKD (arXiv:2306.13649), phi
    of DistiLLM's adaptive off-policy approach (arXiv:2402.03898), where it rises with the validation loss, and where
    answers that are kept take the place of new ones with a probability that grows linearly. What is drawn depends on
    seed and step alone.

    Args:
        settings: of the training.
        seed: of the run.

    Attributes:
        share: of the steps, as it is now.
        reference: validation loss, in nats a token, that a later one is compared with; none before the first.
        kept: the last own answers.
    """

    def __init__(self, settings: OnPolicy, seed: int):
        self.settings, self.seed = settings, seed
        self.share = settings.share
        self.reference: float | None = None
        self.kept: deque[Written] = deque(maxlen=settings.buffer)

    @property
    def listens(self) -> bool:
        """True if validation losses decide anything."""
        return self.settings.schedule == "adaptive"

    def source(self, step: int, steps: int) -> Source:
        """What a step learns from: answers of the rows, new own answers, or kept ones, once as many are as shall be.

        Args:
            step: from 0.
            steps: of the run.
        """
        drawn = self._draw(step, "source").random()
        if drawn >= self.share:
            return "rows"
        full = 0 < self.settings.buffer == len(self.kept)
        return "kept" if full and drawn >= self.share * (1 - step / steps) else "new"

    def hear(self, loss: float) -> None:
        """Learn of a validation loss. It is compared with the lowest one since the share rose last, so that a slow rise
        counts too, and training may begin far from its minimum."""
        if not self.listens:
            return
        if self.reference is not None and loss >= self.reference + self.settings.tolerance:
            self.share, self.reference = min(1.0, self.share + self.settings.rise), loss
        else:
            self.reference = loss if self.reference is None else min(self.reference, loss)

    def keep(self, written: Iterable[Written]) -> None:
        """Keep new answers, in place of the oldest ones."""
        self.kept.extend(written)

    def draw_kept(self, step: int, places: Sequence[int]) -> dict[int, Written]:
        """A kept answer for each of ``places``, none of them twice."""
        chosen = self._draw(step, "kept").sample(range(len(self.kept)), len(places))
        return {place: self.kept[index] for place, index in zip(places, chosen, strict=True)}

    def state(self) -> Json:
        """All that a resumed run goes on with."""
        return {"share": self.share, "reference": self.reference, "kept": [list(each) for each in self.kept]}

    def restore(self, state: Json) -> None:
        """Go on from what :meth:`state` gave."""
        self.share, self.reference = state["share"], state["reference"]
        self.kept = deque(((place, tokens) for place, tokens in state["kept"]), maxlen=self.settings.buffer)

    def _draw(self, step: int, what: str) -> Random:
        return Random(f"{self.seed} {step} {what}")
