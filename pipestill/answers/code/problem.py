"""The tests of a problem, as records carry them and as predictions keep them beside the answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipestill.errors import UserError
from pipestill.io.records import Line, Record, iterate_lines


@dataclass
class Problem(Line):
    """The tests of a problem.

    Attributes:
        id: of its record.
        setup: Python that stands before a solution.
        tests: statements; any of them raises an error where a solution is wrong.
        subset: of the record.
    """

    id: str
    setup: str
    tests: list[str]
    subset: str | None = None

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """That of a record, which has ``setup`` and ``tests`` in its ``meta``."""
        return cls(record.id, record.meta["setup"], record.meta["tests"], record.subset)


def read_problems(path: Path) -> dict[str, Problem]:
    """Problems of ``tests.jsonl`` by id.

    Raises:
        UserError: the file is missing or broken; the message names the line.
    """
    found = {problem.id: problem for problem in iterate_lines(path, Problem, "predict again")}
    if not found:
        raise UserError(f"{path} holds no tests: predict again")
    return found
