"""The process that has imported what jobs need: it forks for each script that :mod:`.ask` brings.

It ends, with all its jobs, when its standard input does. A job whose asker is gone is killed, as the asker was.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill.warm import READY

LIBRARIES = ("transformers.trainer", "nltk", "pandas", "pipestill.inference.experiment", "pipestill.training.run")


@dataclass
class Job:
    """A fork, and the connection of its asker."""

    pid: int
    asker: socket.socket

    def kill(self, number: int) -> None:
        """Send a signal to the fork and to what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def import_libraries() -> None:
    """Import what most jobs load, with all packages that :mod:`pipestill.job.startup` keeps from those who do not."""
    gc.disable()
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # nothing looks through these objects again, so forks share their memory


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Answer askers until standard input ends: None. In a fork, return what it is to run."""
    import_libraries()
    Path(listener.getsockname()).with_name(READY).touch()
    ended, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    jobs: list[Job] = []
    with selectors.DefaultSelector() as waiting:
        for source in (listener, sys.stdin, ended):
            waiting.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sys.stdin:
                    for job in jobs:
                        job.kill(signal.SIGKILL)
                    return None
                if key.fileobj is listener:
                    request = _begin(listener, jobs, waiting)
                    if request is not None:
                        return request
                elif key.fileobj == ended:
                    os.read(ended, 4096)
                    _report(jobs, waiting)
                elif any(job.asker is key.fileobj for job in jobs):
                    _pass_on(next(job for job in jobs if job.asker is key.fileobj))


def _begin(listener: socket.socket, jobs: list[Job], waiting: selectors.BaseSelector) -> dict[str, Any] | None:
    """Fork for the next asker; in the fork, what it asks for."""
    asker, _ = listener.accept()
    size, files, *_ = socket.recv_fds(asker, 8, 3)
    with asker.makefile("rb") as stream:
        request = stream.read(int.from_bytes(size, "big"))
    if len(files) < 3 or not request:  # the asker has gone again
        asker.close()
        return None
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # the fork may have done it, and may have ended
            os.setpgid(pid, pid)
        for each in files:
            os.close(each)
        jobs.append(Job(pid, asker))
        waiting.register(asker, selectors.EVENT_READ)
        return None
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in (listener, asker, *(job.asker for job in jobs)):
        each.close()
    for target, each in enumerate(files):
        os.dup2(each, target)
        os.close(each)
    return json.loads(request)


def _report(jobs: list[Job], waiting: selectors.BaseSelector) -> None:
    """Tell the askers of forks that have ended how they did."""
    for job in list(jobs):
        pid, status = os.waitpid(job.pid, os.WNOHANG)
        if pid:
            waiting.unregister(job.asker)
            with contextlib.suppress(OSError):
                job.asker.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
            job.asker.close()
            jobs.remove(job)


def _pass_on(job: Job) -> None:
    """Send the fork the signals that its asker has had; kill it where the asker has gone."""
    told = b""
    with contextlib.suppress(ConnectionError):
        told = job.asker.recv(64)
    for number in told or [signal.SIGKILL]:
        job.kill(number)


def run(request: dict[str, Any]) -> None:
    """Become the script that was asked for, in a fork."""
    for stream in (sys.stdout, sys.stderr):  # their files are new
        stream.reconfigure(line_buffering=stream is sys.stderr or stream.isatty())
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["command"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def main() -> None:
    """Serve, or be a script."""
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        run(request)


if __name__ == "__main__":
    main()
