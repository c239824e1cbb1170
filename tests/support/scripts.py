"""Workflow scripts as processes that can be killed, forked from one that has imported what they need, which takes
seconds."""

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRELOADED = ("peft", "pipestill.training.run", *(f"pipestill.training.{name}" for name in ("arguments", "callbacks")))
PRELOADED += ("pipestill.training.resumable", "transformers.models.qwen2.modeling_qwen2", "accelerate")


def script_of(name):
    """Path of a workflow script."""
    return ROOT / "workflow_scripts" / f"{name}.py"


class Script:
    """A workflow script, or another file, at work with ``environment`` beside that of this process; stdout is lost.

    Attributes:
        pid: of the process.
        returncode: as of a ``subprocess.Popen``; none where no call has seen its end.
    """

    def __init__(self, name, *arguments, environment=None):
        self._directory, self.pid, self.returncode = tempfile.TemporaryDirectory(), None, None
        argv = [str(name if isinstance(name, Path) else script_of(name)), *map(str, arguments)]
        request = argv, os.getcwd(), os.environ | (environment or {}), self._directory.name
        print(json.dumps(request), file=_server().stdin, flush=True)
        while self.pid is None:
            assert _server().poll() is None, "the process that forks has ended"
            self.pid = self._told("pid")
            time.sleep(0.001)

    def poll(self):
        """How it ended; none where it is at work."""
        if self.returncode is None:
            self.returncode = self._told("returncode")
        return self.returncode

    def send_signal(self, number):
        """Send a signal, where it is at work."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds=600):
        """Wait until it ends; how it did."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, self.said()
            time.sleep(0.001)
        return self.returncode

    def said(self):
        """All that it wrote to stderr."""
        return (Path(self._directory.name) / "stderr").read_text()

    def _told(self, name):
        path = Path(self._directory.name) / name
        text = path.read_text() if path.exists() else ""
        return int(text) if text.endswith("\n") else None


@cache
def _server():
    """The process that forks; it ends with this one."""
    command = [sys.executable, "-P", __file__]  # without this directory on the path
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def _serve():
    """Fork a process for each line of stdin, which runs a script and tells its id and how it ended."""
    from pipestill.job.startup import hide_unused

    hide_unused()
    gc.disable()
    for module in PRELOADED:
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they tell the ends of scripts themselves
    for line in sys.stdin:
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            argv, where, environment, directory = json.loads(line)
            pid = os.fork()
            if not pid:
                _run(argv, where, environment, Path(directory))
            (Path(directory) / "pid").write_text(f"{pid}\n")
            _, status = os.waitpid(pid, 0)
            (Path(directory) / "returncode").write_text(f"{os.waitstatus_to_exitcode(status)}\n")
            os._exit(0)


def _run(argv, where, environment, directory):
    """What ``python ARGV`` does, in this process; never returns."""
    for descriptor, path in enumerate((os.devnull, os.devnull, directory / "stderr")):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    os.chdir(where)
    os.environ.clear()
    os.environ.update(environment)
    gc.enable()
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    _serve()
