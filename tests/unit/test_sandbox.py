"""The sandbox for code: forms of tests, statuses, order, measures, and what is left when it has ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipestill.errors import UserError
from pipestill.sandbox import MEASURES, STATUSES, Asserts, Calls, Check, Program, Sandbox
from pipestill.sandbox.permission import check_permission
from pipestill.sandbox.wire import Codec, no_reference
from support.sandboxes import LAYERS, LIMITS, outcome, sandbox


@pytest.fixture(scope="module", params=LAYERS)
def box(request):
    with sandbox(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def one():
    with sandbox() as found:
        yield found


def status(box, source, tests):
    return next(iter(box.run([Program(source, tests)])))


OUTCOMES = {
    "passed": ("def f():\n    return 42", "passed", ""),
    "another value": ("def f():\n    return 41", "failed", "AssertionError"),
    "no value": ("def f():\n    pass", "failed", "AssertionError"),
    "an exception": ("def f():\n    return 1 / 0", "error", "ZeroDivisionError"),
    "an exception at once": ("import nothing_of_that_name", "error", "ModuleNotFoundError"),
    "its own exception": ("class Bad(ValueError): pass\ndef f():\n    raise Bad('x')", "error", "Bad"),
    "its own assertion": ("def f():\n    assert False, 'x'", "error", "AssertionError"),
    "a missing name": ("def g():\n    return 42", "error", "NameError"),
    "no code": ("", "error", "NameError"),
    "prose": ("Here is the function:\ndef f():\n    return 42", "syntax", "SyntaxError"),
    "indentation": ("def f():\nreturn 42", "syntax", "IndentationError"),
    "a null byte": ("def f():\n    return 42\0", "syntax", "SyntaxError"),
    "deep nesting": ("f = " + "(" * 300 + ")" * 300, "syntax", "SyntaxError"),
    "a surrogate": ("def f():\n    return '\ud800'", "syntax", "SyntaxError"),
    "input": ("def f():\n    return input()", "error", "EOFError"),
    "a main part": ("def f():\n    return 42\nif __name__ == '__main__':\n    raise ValueError", "passed", ""),
    "a syntax error at run time": ("def f():\n    exec('(')", "error", "SyntaxError"),
}


@pytest.mark.parametrize(("source", "expected", "kind"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_an_outcome_has_its_status(box, source, expected, kind):
    result = outcome(box, source)
    assert (result.status, result.error_class) == (expected, kind), result
    assert expected in STATUSES
    assert result.compiles == (expected != "syntax")


def test_a_failing_statement_is_told(one):
    result = outcome(one, "def f():\n    return 41", "assert f() == 41", "assert f() == 42, 'wrong'")
    assert result.detail == "assert f() == 42, 'wrong'"


def test_what_is_printed_is_told_and_addresses_are_not(one):
    result = outcome(one, "def f():\n    print('hello')\n    raise ValueError(object())")
    assert result.output == "hello\n"
    assert result.detail == "<object object at 0x...>"


CHECK = """
METADATA = {"author": "x"}

def check(candidate):
    assert candidate([1, 2]) == 3
    assert abs(candidate([0.5]) - 0.5) < 1e-6, "half"
    try:
        candidate(None)
        assert False
    except TypeError:
        pass
"""


def test_a_check_gets_the_entry_point(box):
    assert status(box, "def total(x):\n    return sum(x)", Check(CHECK, "total")).passed
    result = status(box, "def total(x):\n    return sum(x) and 3", Check(CHECK, "total"))
    assert (result.status, result.detail) == ("failed", 'assert abs(candidate([0.5]) - 0.5) < 1e-6, "half"')
    assert status(box, "def other(x):\n    return 3", Check(CHECK, "total")).error_class == "NameError"


def test_a_check_may_use_other_functions_and_modules_of_the_program(one):
    source = "import math\ndef twice(x):\n    return 2 * x\ndef half(x):\n    return x / 2"
    code = "def check(candidate):\n    for x in range(5):\n        assert math.fabs(candidate(twice(x)) - x) < 1e-9"
    assert status(one, source, Check(code, "half")).passed


def test_calls_tell_the_first_value_that_differs(box):
    cases = ((([3, 1],), [1, 3]), (([],), []))
    assert status(box, "def f(x):\n    return sorted(x)", Calls("f", cases)).passed
    result = status(box, "def f(x):\n    return x", Calls("f", cases))
    assert result.detail == "f([3, 1]) is [3, 1], expected [1, 3]"


def test_calls_refuse_values_that_are_not_plain(one):
    with pytest.raises(TypeError, match="not plain"):
        status(one, "", Calls("f", (((object(),), 1),)))


def test_the_program_may_bear_the_name_of_a_built_in(one):
    assert outcome(one, "def sum(a, b):\n    return 42", "assert sum(10, 15) == 42").passed


def test_set_up_makes_objects_of_the_program(one):
    source = "class Node:\n    def __init__(self, x):\n        self.x, self.next = x, None\n"
    source += "def total(n):\n    return n.x + total(n.next) if n else 0"
    setup = "head = Node(40)\nhead.next = Node(2)"
    assert status(one, source, Asserts(("assert total(head) == 42", "assert head.next.x == 2"), setup)).passed


@pytest.mark.parametrize(
    ("source", "statement"),
    [
        ("def f(x):\n    x.sort()", "a = [2, 1]\nf(a)\nassert a == [1, 2]"),
        ("def f(x):\n    x['a'] = 1", "a = {}\nf(a)\nassert a == {'a': 1}"),
        ("def f(g, x):\n    return [g(y) for y in x]", "assert f(lambda y: y + 1, [1, 2]) == [2, 3]"),
        ("def f():\n    yield 1\n    yield 2", "assert list(f()) == [1, 2]"),
        ("def f():\n    return {1: (2, [3.5, None])}.items()", "assert dict(f()) == {1: (2, [3.5, None])}"),
        ("class A:\n    def m(self, x):\n        return x", "assert A().m([1]) == [1]"),
        ("def f(x, y=1, *, z=2):\n    return x, y, z", "assert f(0, z=3) == (0, 1, 3)"),
        ("def f(x):\n    return lambda y: x + y", "assert f(1)(2) == 3"),
        ("def f():\n    return 2 ** 20000", "assert f() == 2 ** 20000"),
        ("def f():\n    return float('nan')", "a = f()\nassert a != a"),
    ],
)
def test_values_and_functions_cross(one, source, statement):
    assert outcome(one, source, statement).passed


def test_plain_values_cross_unchanged():
    from collections import Counter, OrderedDict, deque
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from fractions import Fraction

    values = [
        *(None, True, 1, -(2**70), 0.1, -0.0, float("inf"), "a\ud800\n", b"\x00", bytearray(b"x"), 1j, range(1, 9, 2)),
        *([1, (2, {3}), frozenset({4})], {(1, 2): [None]}, Counter("aab"), OrderedDict([(2, 1), (1, 2)])),
        *(deque([1]), Decimal("1.10"), Fraction(1, 3), datetime(2020, 1, 2, 3), date(2020, 1, 2), time(1, 2)),
        timedelta(days=-1, microseconds=3),
    ]
    codec = Codec(no_reference, no_reference)
    for value in values:
        crossed = codec.decode(codec.encode(value))
        assert (crossed, type(crossed), repr(crossed)) == (value, type(value), repr(value))


def test_results_come_in_the_order_of_the_programs(one):
    slow = "import time\ntime.sleep(0.3)\n"
    programs = [
        Program(f"{slow if n == 0 else ''}def f():\n    return {n}", Calls("f", (((), n % 3),))) for n in range(9)
    ]
    assert [result.status for result in one.run(programs)] == [("passed" if n < 3 else "failed") for n in range(9)]


def test_results_repeat(one):
    source = "import random\ndef f():\n    return [random.random(), hash('x'), list({'a', 'b', 'c'})]"
    programs = [Program(source, Calls("f", (((), 0),)))] * 3
    assert len({(result.status, result.detail) for result in one.run(programs)}) == 1


def test_programs_do_not_see_those_before(one):
    sources = ["import builtins, math\nbuiltins.sorted = math.pi = 42\ndef f():\n    return 42"]
    sources += ["import math\ndef f():\n    return 42 if sorted([]) == [] and math.pi < 4 else 0"]
    assert all(outcome(one, source).passed for source in sources * 2)


def test_a_caller_that_stops_early_gets_its_own_results_later(one):
    programs = [Program(f"def f():\n    return {n}", Calls("f", (((), -1),))) for n in range(6)]
    results = one.run(programs)
    assert next(results).detail.startswith("f() is 0")
    results.close()
    assert [result.detail[:8] for result in one.run(programs)] == [f"f() is {n}" for n in range(6)]


def test_measures_are_those_in_force(box):
    assert set(box.measures) <= set(MEASURES)
    assert "audit" in box.measures
    assert [name for name in MEASURES if name in box.measures] == list(box.measures)


def test_a_required_measure_that_is_not_in_force_stops_the_run():
    with pytest.raises(UserError, match=r"the sandbox for code lacks seccomp on this machine \(in force: .*audit\)"):
        Sandbox(LIMITS, required=("audit", "seccomp"), without=("seccomp",))
    with pytest.raises(UserError, match="no measure 'walls'"):
        Sandbox(LIMITS, required=("walls",))
    Sandbox(LIMITS, required=("audit",), workers=1).close()


LEFT = """
import os, sys
from pathlib import Path
import psutil
from pipestill.sandbox import *
from support.sandboxes import outcome, sandbox
RUNS_ON = "import threading\\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\\nwhile True: pass"
def processes():
    return {process.pid for process in psutil.Process().children(recursive=True)}
def descriptors():
    return len(os.listdir("/proc/self/fd"))
before = descriptors()
with sandbox(sys.argv[1], Limits(cpu_seconds=1, wall_seconds=20)) as found:
    base = Path(found._base)
    assert outcome(found, RUNS_ON).status == "timeout"
    during, servers = descriptors(), processes()
    list(found.run([Program("", Asserts(()))] * 20))
    assert descriptors() == during > before
    servers |= processes()
    assert servers and base.is_dir()
assert not processes() and not any(map(psutil.pid_exists, servers))
assert descriptors() == before
assert not base.exists()
print("nothing is left")
"""


def interpreter(program, layer):
    """A fresh interpreter, whose files and processes are those of ``program`` alone, and its environment."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join((str(root), str(root / "tests"), *sys.path))
    return [sys.executable, "-c", program, layer], {"PYTHONPATH": path}


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_is_left(layer):
    command, env = interpreter(LEFT, layer)
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "nothing is left\n"), result.stderr


PARENT = """
import sys
from pipestill.sandbox import *
from support.sandboxes import LAYERS
with Sandbox(Limits(cpu_seconds=600, wall_seconds=600), workers=2, without=LAYERS[sys.argv[1]]) as found:
    print(found._base, flush=True)
    list(found.run([Program("while True: pass", Asserts(()))] * 4))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_killed_parent_leaves_no_process(layer, number):
    command, env = interpreter(PARENT, layer)
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    base = Path(parent.stdout.readline().decode().strip())
    assert base.is_dir()
    deadline = time.monotonic() + 60
    own = psutil.Process(parent.pid)
    while len(found := own.children(recursive=True)) < 8 and time.monotonic() < deadline:  # server, first, 2 of 3 each
        time.sleep(0.02)
    assert len(found) >= 8
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(found, timeout=30)
    assert not alive
    assert not base.exists()


def test_programs_of_models_from_elsewhere_need_permission():
    key = "studies.codegen.answers.allow_code_execution"
    check_permission(True, {"models.student": "org/coder"}, key)
    check_permission(False, {}, key)
    with pytest.raises(UserError, match=rf"^models.student: programs of the model org/coder, .* set {key}: true"):
        check_permission(False, {"models.student": "org/coder"}, key)
