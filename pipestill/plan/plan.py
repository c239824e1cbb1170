"""Input functions and parameters of all rules."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipestill.methods import METHODS, TEACHER_NAME, method_of
from pipestill.plan.config import Config
from pipestill.plan.curves import with_curves
from pipestill.plan.rounds import STORE
from pipestill.plan.shares import with_shares
from pipestill.plan.stages.annotation import AnnotationStages
from pipestill.plan.stages.data import DataStages
from pipestill.plan.stages.evaluation import EvaluationStages
from pipestill.plan.variants import variants_of
from pipestill.plan.worth import with_worth


class Plan(DataStages, AnnotationStages, EvaluationStages):
    """The rules' side of a checked configuration.

    Args:
        given: the configuration.
        root: directory of the project, where shipped models are found.
    """

    def __init__(self, given: Config, root: Path):
        super().__init__(with_worth(with_curves(with_shares(given))))
        self.given = given
        self.root = root

    @property
    def own_studies(self) -> list[str]:
        """Names of the studies that are in the configuration, without those at shares of their rows."""
        return list(self.given.studies)

    @property
    def checkpoints(self) -> list[str]:
        """Names of all checkpoints."""
        return sorted({name for study in self.config.studies.values() for name in study.checkpoints})

    @property
    def compressed(self) -> list[str]:
        """Names of all compressed students."""
        return sorted({name for study in self.config.studies.values() for name in study.compress})

    @property
    def variants(self) -> list[str]:
        """Names of the rows of all variants."""
        return sorted({name for study in self.config.studies.values() for name in variants_of(study)})

    @property
    def with_model(self) -> list[str]:
        """Rows of tables in which a model answers: methods, compressed students, checkpoints, the teacher, variants."""
        own = (name for name, method in METHODS.items() if method.model)
        return [*own, *self.compressed, *self.checkpoints, TEACHER_NAME, *self.variants]

    @property
    def stores(self) -> list[str]:
        """Patterns of the names of stored distributions."""
        objectives = [method.objective for method in METHODS.values() if method.objective]
        return [*sorted({each.store for each in objectives if each.store}), STORE]

    @property
    def files(self) -> list[str]:
        """Names of training files."""
        objectives = [method_of(name).objective for name in (TEACHER_NAME, *METHODS)]
        return list(dict.fromkeys(file.name for each in objectives if each for file in each.files))


def of_job(settings: Callable[..., Any], **known: str) -> Callable[[Any], Any]:
    """``settings`` as a function of wildcards, which have the names of its arguments but for ``known`` ones."""
    names = [name for name in inspect.signature(settings).parameters if name not in known]
    return lambda w: settings(**{name: getattr(w, name) for name in names}, **known)
