"""A worker: starts the two processes of a program, watches them, kills them, and reports."""

import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from shutil import rmtree

from pipestill.sandbox import kernel, sample, tester
from pipestill.sandbox.cell import Cell, open_texts, settle
from pipestill.sandbox.limits import MB

KB = 1024
SHOWN = 2 * KB  # bytes of what a program printed that a report repeats
LAST_WAIT = 1.0  # seconds that a process has to end after its channel has closed
LENGTH = struct.Struct(">I")
SCRATCH = "/tmp"  # a program's folder where mounts are the sandbox's own
NODES = 4096  # files of it


class Left(Exception):
    """The process that uses the sandbox has ended, or closed it."""


def whole(descriptor: int) -> str:
    """The text of an open file, which is closed."""
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.close(descriptor)
    return content.decode("utf-8", "surrogatepass")


def child(body: Callable[[], None]) -> int:
    """Fork; the child runs ``body`` and ends."""
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        body()
        status = 0
    except BaseException:
        with suppress(BaseException):
            traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
        os._exit(status)


class Worker:
    """Runs one program at a time.

    Args:
        cell: How processes are confined.
        control: Socket of the sandbox's user: it sends pairs of open files, source and tests, and gets reports.
        parent: Descriptor that is readable once the user has ended.
        base: Folder for the programs' folders where mounts are the machine's.
        home: Descriptor of the worker's own process namespace, where programs have one each.
    """

    def __init__(self, cell: Cell, control: socket.socket, parent: int | None, base: str, home: int | None):
        self.cell, self.control, self.parent, self.base, self.home = cell, control, parent, base, home

    def work(self) -> None:
        """Run programs until the sandbox is closed."""
        try:
            while True:
                self.wait_for([self.control], None)
                message, descriptors, _, _ = socket.recv_fds(self.control, 1, 2)
                if not message:
                    return
                report = json.dumps(self.run(*descriptors)).encode()
                self.control.sendall(LENGTH.pack(len(report)) + report)
        except (Left, BrokenPipeError, ConnectionResetError):
            return

    def wait_for(self, files: list, seconds: float | None) -> list[int]:
        """Descriptors that are readable.

        Raises:
            Left: the user of the sandbox has ended.
        """
        poll = select.poll()
        for file in files:
            poll.register(file, select.POLLIN)
        if self.parent is not None:
            poll.register(self.parent, select.POLLIN)
        if self.control not in files:
            poll.register(self.control, 0)
        ready = [number for number, _ in poll.poll(None if seconds is None else max(0, seconds) * 1000)]
        if self.parent in ready or (self.control not in files and self.control.fileno() in ready):
            raise Left
        return ready

    def folder(self) -> str:
        """An empty folder for a program."""
        limits, user = self.cell.limits, self.cell.user
        own = user if "user" in self.cell.measures and os.geteuid() == 0 else os.geteuid()
        if "mounts" in self.cell.measures:
            options = f"mode=0700,uid={own},gid={own},size={limits.file_mb * MB},nr_inodes={NODES}"
            kernel.mount("tmpfs", SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
            return SCRATCH
        path = tempfile.mkdtemp(dir=self.base)
        if own != os.geteuid():
            os.chown(path, own, own)
        return os.path.realpath(path)

    def remove(self, folder: str) -> None:
        """Remove a program's folder."""
        if folder == SCRATCH:
            kernel.unmount(SCRATCH)
        else:
            rmtree(folder, ignore_errors=True)

    def run(self, source: int, tests: int) -> dict:
        """The report on one program.

        Raises:
            Left: the user of the sandbox has ended; nothing of the program is left.
        """
        folder = self.folder()
        try:
            return self.watched(source, tests, folder)
        finally:
            self.remove(folder)

    def watched(self, source: int, tests: int, folder: str) -> dict:
        """Start both processes, wait for the verdict, and end them."""
        verdict, verdict_end = os.pipe()
        output, output_end = os.pipe()
        ours, theirs = socket.socketpair()
        silence = os.open(os.devnull, os.O_WRONLY)
        given = [verdict_end, output_end, silence, source, tests]
        longest = self.cell.limits.output_kb * KB

        def judge() -> None:
            settle([ours.fileno(), tests, verdict_end], silence)
            text = whole(tester.TESTS)
            self.confine(folder)
            tester.main(text, longest)

        def act() -> None:
            settle([theirs.fileno(), source, verdict_end], output_end)
            open_texts()
            text = whole(sample.SOURCE)
            self.confine(folder)
            os.close(tester.VERDICT)
            sample.main(text, longest)

        processes = []
        try:
            try:
                if self.home is not None:
                    kernel.unshare(kernel.NAMESPACES["pids"])
                processes.append(child(judge))  # the first process of a namespace: its end is that of all
                processes.append(child(act))
            finally:
                if self.home is not None:
                    kernel.enter(self.home, kernel.NAMESPACES["pids"])
                for descriptor in given:
                    os.close(descriptor)
                ours.close()
                theirs.close()
            ended = self.await_verdict(verdict, output, processes)
        finally:
            statuses = self.end(processes)
            os.close(verdict)
            rest = self.drained(output) if processes else b""
        return self.report(*ended, rest, *statuses)

    def confine(self, folder: str) -> None:
        """Confine this process, and make the folder that of temporary files; a failure is the verdict."""
        tempfile.tempdir = folder
        try:
            self.cell.enter(folder)
        except BaseException as error:
            os.write(tester.VERDICT, json.dumps(tester.verdict("fault", detail=error)).encode())
            os._exit(1)

    def await_verdict(self, verdict: int, output: int, processes: list[int]) -> tuple[str, bytes, bytes]:
        """How the wait ended, what the tests' process wrote, and what the program printed."""
        deadline = time.monotonic() + self.cell.limits.wall_seconds
        open_files, written, printed = [verdict, output], b"", b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout", written, printed
            for descriptor in self.wait_for(open_files, left):
                part = os.read(descriptor, 64 * KB)
                if descriptor == verdict:
                    written += part
                    if not part:
                        if written and json.loads(written)["status"] == "gone":
                            self.await_end(processes[1])
                        return "verdict", written, printed
                elif part:
                    printed += part
                    if len(printed) > self.cell.limits.output_kb * KB:
                        return "output", written, printed
                else:
                    open_files.remove(output)

    def await_end(self, process: int) -> None:
        """Wait a moment for a process that has closed its channel."""
        deadline = time.monotonic() + LAST_WAIT
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return
            self.wait_for([], 0.002)

    def end(self, processes: list[int]) -> list[tuple[int, float]]:
        """Kill the processes and all that they started; wait status and processor seconds of each."""
        for process in processes:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process, signal.SIGKILL)
        statuses = {}
        for process in reversed(processes):  # a namespace's first process ends after all others are waited for
            _, status, usage = os.wait4(process, 0)
            statuses[process] = (status, usage.ru_utime + usage.ru_stime)
        self.sweep()
        return [statuses[process] for process in processes]

    def sweep(self) -> None:
        """Kill what programs have left behind, where no process namespace did."""
        if self.home is not None:
            return
        while True:
            try:
                process, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process:
                for orphan in children():
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(orphan, signal.SIGKILL)

    def drained(self, output: int) -> bytes:
        """What was printed and not yet read."""
        os.set_blocking(output, False)
        rest = b""
        with suppress(BlockingIOError):
            while part := os.read(output, 64 * KB):
                rest += part
        os.close(output)
        return rest

    def report(
        self, ended: str, written: bytes, printed: bytes, rest: bytes, judge: tuple[int, float], act: tuple[int, float]
    ) -> dict:
        """Status, exception's class, detail, output and processor seconds."""
        printed += rest
        shown = printed[:SHOWN].decode("utf-8", "replace")
        found = {"error_class": "", "detail": "", "output": shown, "cpu_seconds": round(act[1], 4)}
        if ended == "timeout":
            return found | {"status": "timeout", "detail": "wall time"}
        if ended == "output" or len(printed) > self.cell.limits.output_kb * KB:
            return found | {"status": "output", "detail": "it printed too much"}
        if not written:
            return found | self.died(*judge) | {"detail": "while the tests ran"}
        verdict = json.loads(written)
        if verdict["status"] == "gone":
            return found | self.died(*act)
        return found | verdict

    def died(self, status: int, seconds: float) -> dict:
        """The verdict on a process that ended before the tests did."""
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number in (signal.SIGKILL, signal.SIGXCPU) and seconds > self.cell.limits.cpu_seconds - 0.2:
                return {"status": "timeout", "detail": "processor time"}
            if number != signal.SIGKILL:
                return {"status": "crashed", "error_class": signal.Signals(number).name}
            return {"status": "exited", "detail": "it closed its channel"}
        return {"status": "exited", "detail": f"exit status {os.WEXITSTATUS(status)}"}


def children() -> list[int]:
    """Numbers of this process's children."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found
