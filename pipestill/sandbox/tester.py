"""The tests' process: asks the program, compares, and writes the verdict."""

import ast
import builtins
import importlib
import json
import os
import random
import re
import signal
import sys

from pipestill.sandbox.peer import Exited, Peer, Reference
from pipestill.sandbox.wire import Channel, Codec, Gone, TooMuch, no_reference

CHANNEL, TESTS, VERDICT = 3, 4, 5  # descriptors
LONGEST = 500  # characters of a detail
_ADDRESS = re.compile(r"\b0x[0-9a-f]+")


def line(text: object) -> str:
    """A text on one line, without addresses, which differ by run."""
    return _ADDRESS.sub("0x...", " ".join(str(text).split()))[:LONGEST]


def verdict(status: str, error_class: str = "", detail: object = "") -> dict:
    """What the tests' process reports."""
    return {"status": status, "error_class": error_class[:LONGEST], "detail": line(detail)}


def raised(error_class: str, detail: object) -> dict:
    """The verdict on an exception."""
    if error_class == "SystemExit":
        return verdict("exited", detail="sys.exit")
    return verdict("memory" if error_class == "MemoryError" else "error", error_class, detail)


def plain(name: str) -> bool:
    """Whether a program may give the tests a name: not those of the interpreter, as ``__builtins__``."""
    return name.isidentifier() and not name.startswith("__")


def called(code: str) -> set[str]:
    """Names that code calls."""
    nodes = (node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def visible(found: dict[str, object], under_test: set[str]) -> dict[str, object]:
    """The program's names that tests see.

    A built-in function stays itself, lest a program redefine the ``abs`` or ``len`` of a comparison, unless it is
    what is tested: an entry point, or the only kind of function of the program that the tests call.
    """
    return {name: value for name, value in found.items() if name in under_test or not hasattr(builtins, name)}


def imported(modules: list, text: str) -> dict[str, object]:
    """The standard modules, of this process, that a program imported and the tests' text names."""
    return {
        name: importlib.import_module(module)
        for name, module in modules
        if re.search(rf"\b{re.escape(name)}\b", text) and module.partition(".")[0] in sys.stdlib_module_names
    }


class Differs(AssertionError):
    """A call gave another value than the expected one."""


def run_asserts(tests: dict, found: dict[str, object]) -> None:
    """Run statements one by one."""
    code = "\n".join(tests["statements"])
    mine = called(code) & found.keys()
    own = {name for name in mine if not hasattr(builtins, name)}
    namespace = {"__name__": "tests", **visible(found, own or mine)}
    for text in (tests["setup"], *tests["statements"]):
        step(text, namespace)


def step(text: str, namespace: dict[str, object]) -> None:
    """Run code; an assertion that does not hold tells it."""
    try:
        exec(compile(text, "<tests>", "exec", dont_inherit=True), namespace)
    except AssertionError as error:
        if not hasattr(error, "of_other_side"):
            raise Differs(text) from None
        raise


def run_check(tests: dict, found: dict[str, object]) -> None:
    """Run ``check(candidate)``."""
    entry = tests["entry_point"]
    namespace = {"__name__": "tests", **visible(found, {entry})}
    if entry not in found:
        raise NameError(f"name {entry!r} is not defined")
    exec(compile(tests["code"], "<tests>", "exec", dont_inherit=True), namespace)
    try:
        namespace["check"](found[entry])
    except AssertionError as error:
        if hasattr(error, "of_other_side"):
            raise
        traceback = error.__traceback__
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        where = tests["code"].splitlines()[traceback.tb_lineno - 1 : traceback.tb_lineno]
        raise Differs(where[0] if where else "") from None


def run_calls(tests: dict, found: dict[str, object]) -> None:
    """Call a function and compare what it returns."""
    name = tests["function"]
    if not isinstance(found.get(name), Reference):
        raise NameError(f"name {name!r} is not defined")
    codec = Codec(no_reference, no_reference)
    for arguments, expected in codec.decode(tests["cases"]):
        text = f"{name}({', '.join(map(repr, arguments))})"
        value = found[name](*arguments)
        if not value == expected:
            raise Differs(f"{text} is {value!r}, expected {expected!r}")


RUNS = {"asserts": run_asserts, "check": run_check, "calls": run_calls}


def judged(tests: dict, channel: Channel) -> dict:
    """The verdict on a program."""
    peer = Peer(channel, {})
    try:
        kind, *content = channel.receive()
        if kind == "names":
            values, modules = content
            found = {name: peer.codec.decode(value) for name, value in values if plain(name)}
            found |= imported([pair for pair in modules if plain(pair[0])], json.dumps(tests))
        elif kind in ("syntax", "raised"):
            error_class, base, message = map(str, content)
        else:
            raise ValueError(kind)
    except (Gone, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, ImportError):
        return verdict("gone")
    if kind == "syntax":
        return verdict("syntax", error_class, message)
    if kind == "raised":
        return raised(base if base == "SystemExit" else error_class, message)
    result = outcome(tests, found)
    if peer.gone:  # whatever the tests made of it
        return verdict("gone")
    if peer.exited:
        return raised("SystemExit", "")
    return result


def outcome(tests: dict, found: dict[str, object]) -> dict:
    """How the tests went."""
    try:
        RUNS[tests["kind"]](tests, found)
    except Differs as error:
        return verdict("failed", "AssertionError", error)
    except (Gone, Exited):
        return verdict("gone")
    except TooMuch:
        return verdict("output", detail="a value is too large")
    except BaseException as error:
        return raised(type(error).__name__, error)
    return verdict("passed")


def main(tests: str, longest: int) -> None:
    """Judge, write the verdict, and wait for the end."""
    random.seed(0)
    sys.setrecursionlimit(5000)
    try:
        report = judged(json.loads(tests), Channel(CHANNEL, longest))
    except TooMuch:
        report = verdict("output", detail="the program's names are too large")
    os.write(VERDICT, json.dumps(report).encode())
    os.close(VERDICT)
    while True:
        signal.pause()
