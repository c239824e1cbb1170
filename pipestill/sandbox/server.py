"""The warm process of a set of limits: it has the standard modules loaded and forks the workers.

It is a fresh interpreter with an empty environment. Its command line is the JSON of ``Order``.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from shutil import rmtree

from pipestill.sandbox import calls, kernel, probe, space, tester
from pipestill.sandbox.cell import FIRST_USER, USERS, Cell, library
from pipestill.sandbox.limits import Limits
from pipestill.sandbox.worker import SCRATCH, Worker, child

WARM = (
    *("abc", "array", "bisect", "cmath", "collections", "collections.abc", "contextlib", "copy", "dataclasses"),
    *("datetime", "decimal", "enum", "fractions", "functools", "heapq", "io", "itertools", "json", "math", "numbers"),
    *("operator", "os", "random", "re", "statistics", "string", "struct", "sys", "textwrap", "time", "types"),
    *("typing", "warnings"),
)


@dataclass(frozen=True)
class Order:
    """What a server is told.

    Attributes:
        limits: The fields of ``Limits``.
        wanted: Measures to try.
        base: An empty folder.
        controls: Descriptors of the workers' sockets.
        parent: Descriptor that is readable once the user of the sandbox has ended, or None.
        hello: Descriptor for the measures in force.
        seed: A number that tells this server's users from another's.
    """

    limits: dict[str, int]
    wanted: list[str]
    base: str
    controls: list[int]
    parent: int | None
    hello: int
    seed: int


def warm() -> None:
    """Load what programs often use."""
    for name in WARM:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    library()
    with suppress(OSError):
        calls.program(1)
    tester.called("f(1)")  # sets up the parser's classes
    gc.disable()
    gc.collect()
    gc.freeze()


def first(order: Order, left: frozenset[str]) -> None:
    """The first process of the namespaces: makes the root, probes, and forks the workers."""
    linux = sys.platform == "linux"
    if linux:
        kernel.hide()
        kernel.adopt()
    if "pids" in left and not probe.forked(probe.alone):
        left -= {"pids"}
    home = os.open("/proc/self/ns/pid", os.O_RDONLY) if "pids" in left else None
    if "mounts" in left:
        try:
            space.furnish(order.base)
        except OSError:
            left -= {"mounts"}
    cell = Cell(Limits(**order.limits), frozenset(), FIRST_USER + order.seed % USERS)
    folder = SCRATCH if "mounts" in left else order.base
    found = probe.measures(cell, left, frozenset(order.wanted), folder)
    os.write(order.hello, json.dumps(found).encode())
    os.close(order.hello)
    workers = []
    for number, control in enumerate(order.controls):
        own = replace(cell, measures=frozenset(found), user=FIRST_USER + (order.seed + number) % USERS)
        workers.append(child(lambda own=own, control=control: work(own, control, order, home)))
    for control in order.controls:
        os.close(control)
    while workers:
        process, _ = os.wait()
        if process in workers:
            workers.remove(process)


def work(cell: Cell, control: int, order: Order, home: int | None) -> None:
    """Be one worker."""
    for other in order.controls:
        if other != control:
            os.close(other)
    if sys.platform == "linux":
        kernel.die_with_parent()
        kernel.adopt()
    if "mounts" in cell.measures:
        kernel.unshare(kernel.NAMESPACES["mounts"])
    with socket.socket(fileno=control) as connection:
        Worker(cell, connection, order.parent, order.base, home).work()


def main() -> None:
    """Warm up, leave the namespaces, stay until the first process there has ended, and tidy up."""
    order = Order(**json.loads(sys.argv[1]))
    os.environ.clear()
    os.umask(0o022)
    sys.argv[:] = [""]
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm()
    left = space.leave(frozenset(order.wanted)) if sys.platform == "linux" else frozenset()
    process = child(lambda: first(order, left))
    for control in order.controls:
        os.close(control)
    os.close(order.hello)
    os.waitpid(process, 0)
    rmtree(order.base, ignore_errors=True)  # the job may have been killed
