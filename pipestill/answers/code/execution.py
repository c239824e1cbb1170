"""Running solutions with the tests of their problems, in the sandbox."""

from collections.abc import Iterable

from pipestill.answers.code import ExecutionConfig
from pipestill.answers.code.problem import Problem
from pipestill.sandbox import Asserts, Check, Limits, Program, Result, Sandbox

LONGEST_NAME = 40  # characters of the name of an error


class Judge:
    """Says how solutions do in the tests of their problems.

    Args:
        execution: the limits of a program, and what must be in force.
    """

    def __init__(self, execution: ExecutionConfig):
        limits = Limits(cpu_seconds=execution.cpu_seconds, memory_mb=execution.memory_mb)
        self._sandbox = Sandbox(limits, execution.required, workers=1)  # jobs with one thread run side by side

    def __call__(self, solutions: Iterable[tuple[Problem, str]]) -> list[Result]:
        """Results of solutions, in their order; equal ones of a problem run once."""
        asked = [(problem.id, code, problem) for problem, code in solutions]
        programs = {(name, code): _program(problem, code) for name, code, problem in asked}
        results = dict(zip(programs, self._sandbox.run(programs.values()), strict=True))
        return [results[name, code] for name, code, _ in asked]

    def close(self) -> None:
        """End the sandbox."""
        self._sandbox.close()

    @property
    def signature(self) -> str:
        """The measures in force and the limits of a program."""
        limits = self._sandbox.limits
        measures = ",".join(self._sandbox.measures) or "none"
        return f"measures:{measures}|cpu:{limits.cpu_seconds}s|memory:{limits.memory_mb}MiB"


def outcome(result: Result) -> str:
    """What became of an answer, in a word: ``passed``, ``failed`` for a wrong result, the name of the error that it
    raised, or another status of the sandbox."""
    named = result.status in ("error", "syntax") and result.error_class
    return result.error_class[:LONGEST_NAME] if named else result.status


def _program(problem: Problem, code: str) -> Program:
    tests = Asserts(tuple(problem.tests), problem.setup)
    return Program(
        f"{problem.before}\n{code}" if problem.before else code,
        tests if problem.check is None else Check(problem.check, problem.entry_point),
    )
