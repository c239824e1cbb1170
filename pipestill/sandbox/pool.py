"""The sandbox: workers that run programs, and the order of their results."""

import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pipestill
from pipestill.errors import UserError
from pipestill.sandbox.limits import Limits
from pipestill.sandbox.measures import MEASURES
from pipestill.sandbox.program import Asserts, Calls, Check, Program, Result
from pipestill.sandbox.wire import Codec, no_reference

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pipestill.sandbox.server import main; main()"
_PATIENCE = 10  # seconds that the server has to end
_LENGTH = struct.Struct(">I")


class Sandbox:
    """Runs programs under one set of limits; a context manager.

    A server with the standard modules loaded starts at once and is kept; each program gets fresh processes, forked
    from it. The hash seed and the seed of ``random`` are fixed, so that results repeat.

    Args:
        limits: What one program may use.
        required: Measures without which nothing runs, of ``MEASURES``.
        workers: Programs at a time; the processors that this process may use if None.
        without: Measures that are not tried.

    Attributes:
        measures: The measures in force, of ``MEASURES``, in its order.

    Raises:
        UserError: a required measure is not in force here.
    """

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        required: Iterable[str] = (),
        workers: int | None = None,
        without: Iterable[str] = (),
    ):
        required, without = list(required), set(without)
        for name in (*required, *without):
            if name not in MEASURES:
                raise UserError(f"the sandbox has no measure {name!r}: use some of {', '.join(MEASURES)}")
        self.limits = limits
        self._base = tempfile.mkdtemp(prefix="pipestill-sandbox-")
        os.chmod(self._base, 0o711)  # programs of another user reach their own folder below
        pairs = [socket.socketpair() for _ in range(workers or len(os.sched_getaffinity(0)))]
        self._controls = [ours for ours, _ in pairs]
        try:
            self.measures = self._start(
                [theirs for _, theirs in pairs], [name for name in MEASURES if name not in without]
            )
            missing = [name for name in required if name not in self.measures]
            if missing:
                raise UserError(
                    f"the sandbox for code lacks {', '.join(missing)} on this machine (in force: "
                    f"{', '.join(self.measures) or 'nothing'}): run where they are available, or require less"
                )
        except BaseException:
            self.close()
            raise

    def _start(self, controls: list[socket.socket], wanted: list[str]) -> tuple[str, ...]:
        """Start the server; the measures in force."""
        hello, hello_end = os.pipe()
        parent = os.pidfd_open(os.getpid()) if hasattr(os, "pidfd_open") else None
        descriptors = [control.fileno() for control in controls]
        order = {
            **{"limits": asdict(self.limits), "wanted": wanted, "base": os.path.realpath(self._base)},
            **{"controls": descriptors, "parent": parent, "hello": hello_end, "seed": os.getpid() * 64},
        }
        kept = [*descriptors, hello_end] + ([] if parent is None else [parent])
        program = [sys.executable, "-S", "-s", "-P", "-B", "-X", "utf8", "-c", _START]
        try:
            self._server = subprocess.Popen(
                [*program, str(Path(pipestill.__file__).parents[1]), json.dumps(order)],
                **{"env": {"PYTHONHASHSEED": "0"}, "cwd": "/", "pass_fds": kept, "start_new_session": True},
                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL},
            )
        finally:
            for control in controls:
                control.close()
            for descriptor in kept[len(controls) :]:
                os.close(descriptor)
        with open(hello) as file:
            told = file.read()
        if not told:
            raise RuntimeError("the sandbox did not start: its server ended")
        return tuple(json.loads(told))

    def run(self, programs: Iterable[Program]) -> Iterator[Result]:
        """Results of programs, in their order; ``workers`` programs run at a time.

        Raises:
            RuntimeError: a process of the sandbox ended, or could not be confined.
        """
        coming = enumerate(programs)
        idle, busy = list(self._controls), {}
        done: dict[int, Result] = {}
        following = 0
        try:
            while True:
                while idle and (item := next(coming, None)) is not None:
                    number, program = item
                    control = idle.pop()
                    send(control, program)
                    busy[control] = number
                if not busy:
                    return
                for control in ready(busy):
                    number = busy.pop(control)
                    done[number] = receive(control)
                    idle.append(control)
                while following in done:
                    yield done.pop(following)
                    following += 1
        finally:
            for control in busy:  # the caller has stopped early
                with suppress(RuntimeError):
                    receive(control)

    def close(self) -> None:
        """End all processes, and remove the sandbox's folder."""
        for control in self._controls:
            control.close()
        server = getattr(self, "_server", None)
        if server is not None:
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(self._base, ignore_errors=True)

    def __enter__(self) -> "Sandbox":
        """The sandbox itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()


def ready(controls: Iterable[socket.socket]) -> list[socket.socket]:
    """Sockets with a report, in a fixed order."""
    poll = select.poll()
    by_number = {control.fileno(): control for control in controls}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll()]


def told(tests: Asserts | Check | Calls) -> dict:
    """Tests as JSON.

    Raises:
        TypeError: arguments or an expected value are of no plain type.
    """
    if isinstance(tests, Asserts):
        return {"kind": "asserts", "setup": tests.setup, "statements": list(tests.statements)}
    if isinstance(tests, Check):
        return {"kind": "check", "code": tests.code, "entry_point": tests.entry_point}
    cases = tuple((tuple(arguments), expected) for arguments, expected in tests.cases)
    plain = Codec(no_reference, no_reference)
    return {"kind": "calls", "function": tests.function, "cases": plain.encode(cases)}


def send(control: socket.socket, program: Program) -> None:
    """Give a worker a program: two open files, which only the processes that need them read."""
    files = []
    try:
        for text in (program.source, json.dumps(told(program.tests))):
            files.append(tempfile.TemporaryFile())  # noqa: SIM115 (closed below)
            files[-1].write(text.encode("utf-8", "surrogatepass"))
            files[-1].flush()
        try:
            socket.send_fds(control, [b"."], [file.fileno() for file in files])
        except OSError:
            raise RuntimeError("a worker of the sandbox ended") from None
    finally:
        for file in files:
            file.close()


def receive(control: socket.socket) -> Result:
    """A worker's report.

    Raises:
        RuntimeError: it has ended, or could not confine the program.
    """
    content = b""
    size = _LENGTH.size
    while len(content) < size:
        part = control.recv(size - len(content))
        if not part:
            raise RuntimeError("a worker of the sandbox ended")
        content += part
        if len(content) == _LENGTH.size:
            size += _LENGTH.unpack(content)[0]
    report = json.loads(content[_LENGTH.size :])
    if report["status"] == "fault":
        raise RuntimeError(f"the sandbox could not confine a program: {report['detail']}")
    return Result(**report)
