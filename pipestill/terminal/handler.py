"""Snakemake's messages as one live line on a terminal, or as a plain line now and then elsewhere."""

import logging
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from snakemake.logging import get_event
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import read_evaluation
from pipestill.job.progress import LIVE_INTERVAL, LOG_INTERVAL, format_duration
from pipestill.terminal.pace import Pace
from pipestill.terminal.results import line, table

ERASE = "\r\x1b[K"
EVALUATION = "eval.json"


class LogHandler(LogHandlerBase):
    """The handler of a run; Snakemake's own log file has every message."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Nothing is running yet."""
        self.stream = sys.stderr
        self.live = self.stream.isatty()
        self.pace = Pace({})
        self.names: dict[int, str] = {}  # of the jobs that run
        self.outputs: dict[int, list[str]] = {}
        self.report: Path | None = None
        self.shown = 0.0
        self.ended = threading.Event()
        if self.live:
            threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        """Keep the time of the live line going while jobs are at work."""
        while not self.ended.wait(1):
            with self.lock:
                if self.names:
                    self._show()

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a message says."""
        try:
            self._take(record, get_event(record))
        except Exception:  # as everywhere in logging, a message that cannot be shown ends no run
            self.handleError(record)

    def _take(self, record: Any, event: LogEvent | None) -> None:
        if event == LogEvent.RUN_INFO:
            self.pace = Pace({rule: count for rule, count in record.stats.items() if rule != "total"})
        elif event == LogEvent.JOB_INFO:
            self.pace.start(record.jobid, record.rule_name)
            named = "_".join(filter(None, map(str, record.wildcards.values())))
            self.names[record.jobid] = f"{record.rule_name} {named}".strip()
            self.outputs[record.jobid] = list(record.output)
            self._show()
        elif event == LogEvent.JOB_FINISHED:
            self._finish(record.job_id)
        elif record.levelno >= logging.WARNING or event in (LogEvent.JOB_ERROR, LogEvent.ERROR):
            self._say(self.format(record))

    def _finish(self, job: int) -> None:
        self.pace.finish(job)
        self.names.pop(job)
        for output in map(Path, self.outputs.pop(job)):
            if output.name == EVALUATION:
                self._say(line(read_evaluation(output)))
            elif output.name == "index.html":
                self.report = output
        self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if now - self.shown < (LIVE_INTERVAL if self.live else LOG_INTERVAL):
            return
        self.shown = now
        text = self._status()
        if self.live:
            self.stream.write(ERASE + text[: shutil.get_terminal_size().columns - 1])
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def _status(self) -> str:
        """``37/191 jobs, 4:10, about 9:40 left: train creditmix_dpo_2, predict dolly_sft``."""
        left = self.pace.left()
        rest = "" if left is None else f", about {format_duration(left)} left"
        running = f": {', '.join(self.names.values())}" if self.names else ""
        return f"{self.pace.done}/{self.pace.total} jobs, {format_duration(self.pace.elapsed)}{rest}{running}"

    def _say(self, text: str) -> None:
        """A line that stays."""
        self.stream.write((ERASE if self.live else "") + text.rstrip() + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Show the first table, and where the report is."""
        if self.ended.is_set():
            return
        self.ended.set()
        if self.pace.total and self.pace.done == self.pace.total:
            self._say(f"{self.pace.total} jobs took {format_duration(self.pace.elapsed)}.")
        if self.report is not None:
            try:
                lines = table(self.report.with_name("summary.csv"))
            except UserError as error:
                lines = [str(error)]
            self._say("\n".join(["", *lines, "", f"The report: {self.report}"]))
        super().close()
