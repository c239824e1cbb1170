"""What training rows learn of text: of several outputs, the one that is most like the others."""

from collections.abc import Sequence

from pipestill.answers.base import Lessons
from pipestill.metrics.rouge import rouge_l


class TextLessons(Lessons):
    """Lessons that compare texts."""

    def alike(self, one: str, other: str) -> float:
        """ROUGE-L."""
        return rouge_l(one, [other]) / 100

    def agreed(self, agreement: Sequence[float]) -> list[bool]:
        """The one in the middle of all, the first of equal ones."""
        middle = max(range(len(agreement)), key=agreement.__getitem__)
        return [place == middle for place in range(len(agreement))]
