"""The tests of a problem, as records carry them and as predictions keep them beside the answers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipestill.errors import UserError
from pipestill.io.records import Line, Record, iterate_lines

FACTS = ("entry_point", "before", "setup", "tests", "check")  # of a record's ``meta``


@dataclass
class Problem(Line):
    """The tests of a problem.

    Attributes:
        id: of its record.
        entry_point: name of the function that is asked for.
        before: Python that stands before a solution, such as imports that come with the question.
        setup: Python that the tests need.
        tests: statements; any of them raises an error where a solution is wrong.
        check: in place of them, Python with a function ``check(candidate)``.
        subset: of the record.
    """

    id: str
    entry_point: str
    before: str = ""
    setup: str = ""
    tests: list[str] = field(default_factory=list)
    check: str | None = None
    subset: str | None = None

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """That of a record, which has the other facts in its ``meta``."""
        facts: dict[str, Any] = {name: record.meta[name] for name in FACTS if name in record.meta}
        return cls.of({"id": record.id, **facts, "subset": record.subset})


def read_problems(path: Path) -> dict[str, Problem]:
    """Problems of ``tests.jsonl`` by id.

    Raises:
        UserError: the file is missing, broken or empty; the message names the line.
    """
    found = {problem.id: problem for problem in iterate_lines(path, Problem, "predict again")}
    if not found:
        raise UserError(f"{path} holds no tests: predict again")
    return found
