"""What a process gives up before a program or its tests run in it."""

import fcntl
import gc
import os
import resource
import signal
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache

from pipestill.sandbox import calls, hook, kernel
from pipestill.sandbox.limits import MB, Limits

DEVICES = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]
FIRST_USER, USERS = 61184, 4096  # numbers that no distribution gives to accounts
FILES = 64  # descriptors of a program


@cache
def library() -> list[str]:
    """Folders of the standard library, without links."""
    paths = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return sorted(paths)


@dataclass(frozen=True)
class Cell:
    """How processes are confined.

    Attributes:
        limits: What a program may use.
        measures: The measures to take.
        user: Number of the user and group to become, where this process may choose.
    """

    limits: Limits
    measures: frozenset[str]
    user: int

    def enter(self, folder: str) -> None:
        """Confine this process, which was just forked, to a folder.

        Raises:
            OSError: the kernel refuses a measure.
        """
        os.chdir(folder)
        paths = library()
        if "user" in self.measures:
            self.become_nobody()
        kernel_has = sys.platform == "linux"
        if kernel_has:
            kernel.die_with_parent()
            kernel.hide()
            kernel.give_up_privileges()
        devices = [path for path in DEVICES if os.path.exists(path)]
        if "landlock" in self.measures:
            kernel.restrict_files(paths, folder, devices)
        if "limits" in self.measures:
            self.bound()
        if "seccomp" in self.measures:
            kernel.filter_calls(calls.program(os.getpid()))
        if "audit" in self.measures:
            hook.install(paths, folder, devices)

    def become_nobody(self) -> None:
        """Become a user without rights, and enter a user namespace, in which threads are counted apart."""
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        else:
            kernel.unshare(kernel.NAMESPACES["user"])
        if sys.platform == "linux":
            kernel.drop_capabilities()

    def bound(self) -> None:
        """Set the resource limits."""
        limits = self.limits
        bounds = {
            resource.RLIMIT_CPU: limits.cpu_seconds,
            resource.RLIMIT_AS: limits.memory_mb * MB,
            resource.RLIMIT_FSIZE: limits.file_mb * MB,
            resource.RLIMIT_NOFILE: FILES,
            resource.RLIMIT_CORE: 0,
        }
        if "user" in self.measures:  # otherwise all processes of the machine's user would count
            bounds[resource.RLIMIT_NPROC] = limits.threads + 1  # the tests' process
        for kind, bound in bounds.items():
            _, hard = resource.getrlimit(kind)
            bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(kind, (bound, bound))


def settle(descriptors: list[int], output: int) -> None:
    """Leave this process, just forked, the descriptors 3 and up as given, its output, and no other.

    It becomes the leader of a group. Signals have their default actions.
    """
    os.setsid()
    high = list(map(_lifted, (os.open(os.devnull, os.O_RDONLY), output, output, *descriptors)))
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number)
    os.closerange(len(high), os.sysconf("SC_OPEN_MAX"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    gc.enable()


def open_texts() -> None:
    """Open the standard streams on the descriptors that this process was left."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (open to the end)
    text = {"mode": "w", "encoding": "utf-8", "errors": "backslashreplace", "buffering": 1, "closefd": False}
    sys.stdout, sys.stderr = open(1, **text), open(2, **text)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def _lifted(descriptor: int) -> int:
    """A copy of a descriptor above those that will be given."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100)
