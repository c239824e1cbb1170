"""Runs programs that a model wrote, each in a process of its own without rights, and says how their tests went.

    programs = [Program("def f(x):\\n    return x + 1", Asserts(("assert f(1) == 2",)))]
    with Sandbox(Limits(), required=("seccomp",), workers=2) as sandbox:
        print(sandbox.measures)                          # the measures in force, for the report
        for result in sandbox.run(programs):             # in the order of the programs
            print(result.status, result.error_class, result.detail)

Tests come as ``Asserts`` (statements and a set-up, MBPP), ``Check`` (``check(candidate)`` and an entry point,
HumanEval) or ``Calls`` (a function's name, arguments and expected values). They run in another process than the
program: calls go to the program, plain values come back, and the comparison is made where no code of the program
runs. ``Result.status`` is one of ``STATUSES``. No third-party module can be imported by a program.
"""

from pipestill.sandbox.limits import Limits
from pipestill.sandbox.measures import MEASURES
from pipestill.sandbox.pool import Sandbox
from pipestill.sandbox.program import STATUSES, Asserts, Calls, Check, Program, Result

__all__ = ["MEASURES", "STATUSES", "Asserts", "Calls", "Check", "Limits", "Program", "Result", "Sandbox"]
