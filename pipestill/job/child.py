"""A server that a job starts, watches and ends."""

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import UserError

STOP_S = 10.0
END_S = 1.0  # that a process may take to end after its connections have


@dataclass(frozen=True)
class Child:
    """A process that runs, and ends when its standard input is closed.

    Attributes:
        process: with a pipe as standard input, which closes whenever this process dies.
        log: its output.
    """

    process: subprocess.Popen
    log: Path

    def check(self, seconds: float = 0) -> None:
        """Say so if it has ended, or does within some seconds.

        Raises:
            UserError: it has; the sentence ends with its last line of output.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(max(seconds, END_S))
            raise UserError(f"the model server ended with {code}; {self.last_line()}")

    def stop(self) -> None:
        """End the process, by its own process id."""
        self.process.terminate()
        with contextlib.suppress(OSError):  # what was not read is not written any more
            self.process.stdin.close()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_line(self) -> str:
        """Where its output is, and the end of it."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n") or [""]
        return f"{self.log} ends: {lines[-2:][0].strip()}"
