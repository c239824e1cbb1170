"""What training rows learn of code: solutions that fail their tests as rejected ones, found by running them."""

from contextlib import ExitStack, closing
from functools import cached_property
from random import Random

from pipestill.answers.base import Answers, Lessons
from pipestill.answers.code.execution import Judge
from pipestill.answers.code.extraction import code_of
from pipestill.answers.code.mutations import mutants
from pipestill.answers.code.problem import Problem
from pipestill.errors import UserError
from pipestill.io.records import Json, Record
from pipestill.metrics.code import same_code


class CodeLessons(Lessons):
    """Lessons whose sandbox is opened when something is first run.

    Args:
        answers: the kind.
        options: of it.
        stack: closes the sandbox.
    """

    def __init__(self, answers: Answers, options, stack: ExitStack):
        super().__init__(answers)
        self.options, self._stack = options, stack

    @cached_property
    def _judge(self) -> Judge:
        return self._stack.enter_context(closing(Judge(self.options.execution)))

    def passes(self, record: Record, code: str) -> bool:
        """True if a solution passes the tests of a record."""
        [outcome] = self._judge([(Problem.of_record(record), code)])
        return outcome.passed

    def taught(self, record: Record, said: Json) -> str:
        """The teacher's code or, where only what passes is learnt, the gold solution for code that fails."""
        output = super().taught(record, said)
        kept = self.options.teacher_code == "all" or self.passes(record, code_of(output))
        return output if kept else record.target

    def check(self, record: Record, output: str, gold: str | None) -> bool | None:
        """Whether its code passes the tests of the record, where it has some."""
        tested = record.meta.get("tests") or record.meta.get("check")
        return self.passes(record, code_of(output)) if tested else None

    def alike(self, one: str, other: str) -> float:
        """1 for the same code."""
        return same_code(code_of(one), [code_of(other)])

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """The first of these that fails the tests: what the teacher writes, if it is asked; a changed gold solution; a
        function that does nothing.

        Raises:
            UserError: nothing fails.
        """
        written = [code_of(output) for output in said["outputs"]] if said else []
        nothing = f"def {record.meta['entry_point']}(*given):\n    return None"
        for code in (*written, *mutants(record.target, rng), nothing):
            if code.strip() and not self.passes(record, code):
                return code
        origin = record.meta.get("task_id", f"line {record.meta.get('line')}")
        raise UserError(
            f"record {record.id} ({origin}): its tests pass for a function that does nothing, so no solution is wrong; "
            "correct the tests or remove the row"
        )
