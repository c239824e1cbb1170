"""What the code of one run did, in ``eval.json``."""

from pipestill.evaluation.evaluation import RunEntry
from pipestill.settings.section import Section


class Family(Section):
    """Problems of one part of the test sets."""

    test_set: str | None
    """Name of its test set."""
    subset: str | None
    """Name of the part; none: problems without one."""
    problems: int
    """How many there are."""
    answers: int
    """Answers to them, of all draws."""
    passed: int
    """Those that pass all tests."""


class CodeDetails(Section):
    """What the code of one run did."""

    outcomes: dict[str, int]
    """Answers by what became of them: `passed`, `failed`, the name of an error, or another status of the sandbox."""
    families: list[Family]
    """Parts of the test sets."""


def details_of(run: RunEntry) -> CodeDetails:
    """What the code of a run did."""
    return CodeDetails.model_validate({name: run.details[name] for name in CodeDetails.model_fields})
