"""Progress of long work: a live line on a terminal, a plain line now and then in a log."""

import sys
import time
from typing import TextIO

LOG_INTERVAL = 15.0  # seconds between plain lines
LIVE_INTERVAL = 0.2


def format_duration(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3700`` -> ``1:01:40``."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Counts ``done`` of ``total`` things, with their rate and the time left.

    Args:
        total: number of things.
        unit: their name in the plural ("examples").
        label: the work ("ranking labels").
        done: number finished by an earlier process.
    """

    def __init__(self, total: int, unit: str, label: str, done: int = 0, stream: TextIO | None = None):
        self.total, self.unit, self.label = total, unit, label
        self.done = self.skipped = done
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.start = self.shown = time.monotonic()

    def update(self, n: int = 1, note: str = "") -> None:
        """Count ``n`` more, and show a line when it is time; ``note`` ends the line."""
        self.done += n
        now = time.monotonic()
        finished = self.done >= self.total
        if not finished and now - self.shown < (LIVE_INTERVAL if self.live else LOG_INTERVAL):
            return
        self.shown = now
        end = ("\n" if finished else "") if self.live else "\n"
        self.stream.write(("\r\x1b[K" if self.live else "") + self.line(now - self.start, note) + end)
        self.stream.flush()

    def line(self, elapsed: float, note: str = "") -> str:
        """The line that is shown after ``elapsed`` seconds."""
        rate = (self.done - self.skipped) / elapsed if elapsed > 0 else 0.0
        text = f"{self.label}: {self.done}/{self.total} {self.unit}"
        if rate > 0:
            text += f", {rate:.1f}/s"
        text += f", took {format_duration(elapsed)}" if self.done >= self.total else ""
        if rate > 0 and self.done < self.total:
            text += f", {format_duration((self.total - self.done) / rate)} left"
        return f"{text} {note}".rstrip()
