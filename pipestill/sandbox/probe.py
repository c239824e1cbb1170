"""Tries each measure at the start, in a process that takes it alone, and tells those that hold."""

import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import replace

from pipestill.sandbox import kernel
from pipestill.sandbox.cell import Cell, library
from pipestill.sandbox.measures import MEASURES

OUTSIDE = "/etc"  # a folder that every machine has and no program sees


def refused(attempt: Callable[[], object], kind: type[BaseException] = OSError) -> bool:
    """Whether an attempt fails."""
    try:
        attempt()
    except kind:
        return True
    return False


def no_new_process() -> bool:
    """Whether the kernel refuses to fork."""
    try:
        process = os.fork()
    except OSError:
        return True
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    return False


def alone() -> bool:
    """Whether a process can be the first of a namespace, and its parent come back."""
    home = os.open("/proc/self/ns/pid", os.O_RDONLY)
    kernel.unshare(kernel.NAMESPACES["pids"])
    process = os.fork()
    if not process:
        os._exit(0 if os.getpid() == 1 else 1)
    kernel.enter(home, kernel.NAMESPACES["pids"])
    return os.waitpid(process, 0)[1] == 0


def readable() -> bool:
    """Whether modules of the standard library can be read."""
    with open(f"{library()[0]}/os.py") as file:
        return bool(file.read(1))


def bounded() -> bool:
    """Whether memory ends at its limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return refused(lambda: bytearray(limit), MemoryError)


def interfaces() -> list[str]:
    """Names of the network's interfaces."""
    return [name for _, name in socket.if_nameindex()]


def open_socket() -> None:
    """Open a socket."""
    socket.socket().close()


HOLDS: dict[str, Callable[[], bool]] = {
    "mounts": lambda: not os.path.exists(OUTSIDE) and readable(),
    "network": lambda: set(interfaces()) <= {"lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0"},
    "user": lambda: os.geteuid() != 0 and refused(lambda: os.setgroups([])) and readable(),
    "seccomp": lambda: no_new_process() and refused(open_socket),
    "landlock": lambda: refused(lambda: os.listdir(OUTSIDE)) and readable(),
    "limits": bounded,
    "audit": lambda: refused(lambda: os.listdir(OUTSIDE)) and refused(os.fork) and readable(),
}


def forked(attempt: Callable[[], bool]) -> bool:
    """Whether an attempt succeeds in a process of its own."""
    process = os.fork()
    if not process:
        status = 1
        try:
            signal.alarm(10)
            status = 0 if attempt() else 1
        finally:
            os._exit(status)
    return os.waitpid(process, 0)[1] == 0


def holds(measure: str, cell: Cell, folder: str) -> bool:
    """Whether a measure, taken alone, keeps what it promises."""
    replace(cell, measures=frozenset({measure})).enter(folder)
    return HOLDS[measure]()


def measures(cell: Cell, left: frozenset[str], wanted: frozenset[str], folder: str) -> list[str]:
    """Measures that hold, in the order of ``MEASURES``; of namespaces, those that were left."""
    spaces = {"mounts", "pids", "network", "ipc"}
    tried = [name for name in MEASURES if name in (left if name in spaces else wanted)]
    return [name for name in tried if name not in HOLDS or forked(lambda name=name: holds(name, cell, folder))]
