"""Rows of a study's tables: its methods, compressed students, checkpoints and teacher, and variants, which ask the
models of one of these in another way. A variant is called ``<method>-<variant>``."""

from typing import NamedTuple

from pipestill.methods import METHODS, TEACHER_NAME, method_of
from pipestill.plan.config import StudyConfig, VariantConfig


class Row(NamedTuple):
    """A row of a study's tables.

    Attributes:
        method: the method, compressed student, checkpoint or ``teacher`` whose models answer.
        name: of the variant, if it is one.
        settings: of the variant.
    """

    method: str
    name: str | None = None
    settings: VariantConfig | None = None


def variants_of(study: StudyConfig) -> dict[str, Row]:
    """Variants of all that a study has or could have, by the names of their rows."""
    return {
        f"{method}-{name}": Row(method, name, settings)
        for name, settings in study.variants.items()
        for method in (*METHODS, *study.compress, *study.checkpoints, TEACHER_NAME)
        if method_of(method).model and method in (settings.methods or [method])
    }


def rows_of(study: StudyConfig) -> list[str]:
    """Names of the rows of a study, each before its variants."""
    own = [*study.methods, *study.compress, *study.checkpoints, *([TEACHER_NAME] if study.teacher else [])]
    variants = variants_of(study)
    return [row for method in own for row in (method, *(name for name in variants if variants[name].method == method))]
