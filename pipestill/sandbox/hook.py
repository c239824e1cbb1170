"""The audit hook: what the interpreter refuses to a program.

It refuses the same where the kernel's measures are in force, so that a program meets the same exceptions
everywhere. Alone it is no wall: a program that forges objects in memory gets past it.
"""

import os
import sys
from collections.abc import Callable

from pipestill.sandbox import kernel

_REFUSED = (
    *(
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.killpg",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
    ),
    *("subprocess.Popen", "resource.prlimit", "os.fchdir", "sqlite3.enable_load_extension", "sqlite3.load_extension"),
)
_REFUSED_ROOMS = ("ctypes", "socket", "syslog")
_READS = ("os.listdir", "os.scandir")
_WRITES = (
    *("os.chdir", "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.removexattr", "os.rename"),
    *("os.rmdir", "os.setxattr", "os.symlink", "os.truncate", "os.utime", "sqlite3.connect"),
)
_REFUSED_MODULES = ("_dbm", "_gdbm")  # they open files without an event
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def hook(library: list[str], folder: str, devices: list[str]) -> Callable[[str, tuple], None]:
    """The hook: a closure, so that a program that changes modules changes nothing in it."""
    refused, rooms = frozenset(_REFUSED), frozenset(_REFUSED_ROOMS)
    reads, writes, modules = frozenset(_READS), frozenset(_WRITES), frozenset(_REFUSED_MODULES)
    writing, own, refusal = _WRITING, os.getpid(), PermissionError
    resolve, decode, is_a = os.path.realpath, os.fsdecode, isinstance
    whole, number, none = str, int, None
    readable, writable = (*library, folder), (folder,)
    files = frozenset(os.path.realpath(path) for path in devices)
    of_two = frozenset(("os.link", "os.rename", "os.symlink"))

    def check(path: object, trees: tuple[str, ...]) -> None:
        if path is none or is_a(path, number):
            return
        real = resolve(decode(path))
        if real in files:
            return
        for tree in trees:
            if real == tree or real.startswith(tree + "/"):
                return
        raise refusal(1, "the sandbox refuses this file", whole(path))

    def audit(event: str, arguments: tuple) -> None:
        if event == "open":
            check(arguments[0], writable if arguments[2] & writing else readable)
        elif event in writes:
            if event != "sqlite3.connect" or arguments[0] != ":memory:":
                for path in arguments[: 2 if event in of_two else 1]:
                    check(path, writable)
        elif event in reads:
            check(arguments[0], readable)
        elif event in refused or event.partition(".")[0] in rooms or (event == "os.kill" and arguments[0] != own):
            raise refusal(1, "the sandbox refuses " + event)
        elif event == "import" and arguments[0] in modules:
            raise refusal(1, "the sandbox refuses " + arguments[0])

    return audit


def refuse(*_arguments: object, **_options: object) -> None:
    """Stand for a function that starts processes without an event."""
    raise PermissionError(1, "the sandbox refuses new processes")


def install(library: list[str], folder: str, devices: list[str]) -> None:
    """Add the hook to this interpreter, for good."""
    import _posixsubprocess
    import subprocess

    kernel.forget()
    _posixsubprocess.fork_exec = subprocess._fork_exec = refuse
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ctypes", "_ctypes")]:
        del sys.modules[name]
    sys.addaudithook(hook(library, os.path.realpath(folder), devices))
