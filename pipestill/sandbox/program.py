"""A program, its tests and its result."""

from dataclasses import dataclass

STATUSES = {
    "passed": "all tests passed",
    "failed": "a test's assertion did not hold, or a value differs from the expected one",
    "error": "the program raised an exception, or lacks a name that the tests use",
    "syntax": "the program does not compile",
    "timeout": "processor or wall time ran out",
    "memory": "memory ran out",
    "output": "the program printed or returned too much",
    "exited": "the program ended before its tests did",
    "crashed": "a signal ended the program",
}


@dataclass(frozen=True)
class Asserts:
    """Statements that use the program's names, as in MBPP's ``test_list``.

    Attributes:
        statements: Python statements, run in order.
        setup: Code that runs before them, in the tests' process.
    """

    statements: tuple[str, ...]
    setup: str = ""


@dataclass(frozen=True)
class Check:
    """A function ``check(candidate)``, as in HumanEval.

    Attributes:
        code: Python code that defines ``check``.
        entry_point: Name of the program's function that it is called with.
    """

    code: str
    entry_point: str


@dataclass(frozen=True)
class Calls:
    """Calls of one function.

    Attributes:
        function: Its name.
        cases: Pairs of positional arguments and the expected value, of plain types (numbers, texts, containers).
    """

    function: str
    cases: tuple[tuple[tuple, object], ...]


@dataclass(frozen=True)
class Program:
    """A source text and its tests."""

    source: str
    tests: Asserts | Check | Calls


@dataclass(frozen=True)
class Result:
    """What became of a program.

    Attributes:
        status: A key of ``STATUSES``.
        error_class: Name of the exception's class for ``failed``, ``error`` and ``syntax``, of the signal for
            ``crashed``; otherwise empty.
        detail: The failing test or the exception's message, on one line; empty if there is none.
        output: The beginning of what the program printed.
        cpu_seconds: Processor time of the program.
    """

    status: str
    error_class: str = ""
    detail: str = ""
    output: str = ""
    cpu_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all tests passed."""
        return self.status == "passed"

    @property
    def compiles(self) -> bool:
        """Whether the source is Python."""
        return self.status != "syntax"
