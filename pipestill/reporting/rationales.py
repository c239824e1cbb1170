"""Authors of the rationales that students learnt from."""

from dataclasses import dataclass

from pipestill.evaluation.evaluation import AnnotationCost
from pipestill.reporting.study import Study


@dataclass(frozen=True)
class Rationales:
    """One annotation.

    Attributes:
        annotation: what it took.
        methods: titles of the methods that learnt from it.
    """

    annotation: AnnotationCost
    methods: list[str]

    @property
    def local(self) -> bool:
        """True if the annotator was served on this machine, and costs no money."""
        return self.annotation.provider == "local"

    @property
    def served(self) -> list[str]:
        """Names that the provider calls the model by, where they differ."""
        return [name for name in self.annotation.served_models if name != self.annotation.model]

    @property
    def failures(self) -> dict[str, int]:
        """Calls without an answer, by reason."""
        unfinished = self.annotation.calls["unfinished"]
        return self.annotation.calls["failed"] | ({"unfinished": unfinished} if unfinished else {})


def rationales(study: Study) -> list[Rationales]:
    """The annotations that methods learnt from, each once."""
    found: list[Rationales] = []
    for experiment in study.experiments:
        annotation = experiment.evaluation.cost.annotation
        if annotation is None:
            continue
        same = next((each for each in found if each.annotation == annotation), None)
        if same is None:
            found.append(same := Rationales(annotation, []))
        same.methods.append(experiment.title)
    return found
