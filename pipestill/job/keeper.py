"""Runs a command that knows nothing of this project for as long as the process lives that asked for it.

    python -m pipestill.job.keeper COMMAND [ARGUMENT ...]

Standard input is a pipe from that process. When it closes, or on SIGTERM, the command and all that it started get
SIGTERM, and SIGKILL after :data:`END_S` seconds.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

from pipestill.job.programs import bare

END_S = 5.0  # shorter than who asked waits for this process


def main() -> None:
    """Run the command of the command line in a group of its own; the exit code is its."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, env=bare())
    over = threading.Event()

    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    def watch() -> None:
        over.wait()
        send(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
        send(signal.SIGKILL)

    def read() -> None:
        while os.read(sys.stdin.fileno(), 1024):  # not through its buffer, whose lock this thread would hold at the end
            pass
        over.set()

    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that of a terminal goes to who asked, whose end is seen here
    for target in (watch, read):
        threading.Thread(target=target, daemon=True).start()
    code = child.wait()
    send(signal.SIGKILL)  # what it left behind
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
