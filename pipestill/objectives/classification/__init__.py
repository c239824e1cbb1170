"""Classification: a new head tells labels apart, where other objectives learn the words that stand for them."""

from dataclasses import dataclass
from typing import ClassVar

from pipestill.answers.base import Answers
from pipestill.objectives.base import SFT, Objective, TrainingFile
from pipestill.settings.models import ModelKind


@dataclass(frozen=True)
class Classification(Objective):
    """Cross-entropy of the labels, by a head on the student's body that starts at random."""

    file: TrainingFile = SFT

    model_kinds: ClassVar[frozenset[ModelKind]] = frozenset({"causal", "masked"})

    def labels(self, answers: Answers) -> tuple[str, ...]:
        """All that there are."""
        return answers.classes

    def lacks(self, answers: Answers) -> str | None:
        """Labels, where any text is an answer."""
        return None if answers.classes else "labels"
