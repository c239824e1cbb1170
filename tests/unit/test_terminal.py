"""The live line of a run, its results, and how long the rest takes."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from pipestill.terminal import handler, results
from pipestill.terminal.pace import Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_rest_takes_as_long_as_jobs_of_the_same_rule_did():
    clock = Clock()
    pace = Pace({"train": 4, "evaluate": 2}, clock)
    assert pace.left() is None
    pace.start(1, "train")
    pace.start(2, "train")
    clock.now = 30
    pace.finish(1)
    pace.finish(2)
    assert pace.left() == pytest.approx((2 * 30 + 2 * 30) / 2), "one of another rule is expected to take the mean"
    pace.start(3, "evaluate")
    clock.now = 32
    pace.finish(3)
    assert pace.left() == pytest.approx((2 * 30 + 2) / (62 / 32))
    pace.start(4, "train")
    clock.now = 42
    assert pace.left() == pytest.approx((30 + 2 + 20) / (72 / 42))


@pytest.fixture
def shown(monkeypatch):
    """A handler of a run of two jobs, and the lines that it shows."""
    monkeypatch.setattr(handler, "LOG_INTERVAL", 0)
    monkeypatch.setattr(handler, "read_evaluation", lambda path: Path(path).parent.name)
    monkeypatch.setattr(handler, "line", lambda evaluation: f"result of {evaluation}")
    monkeypatch.setattr(handler, "table", lambda paths: ["the table"])
    own = handler.LogHandler(SimpleNamespace(), None)
    own.setFormatter(logging.Formatter())
    written = []
    own.stream = SimpleNamespace(write=written.append, flush=lambda: None)

    def send(event, level=logging.INFO, message=None, **facts):
        record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
        vars(record).update(event=event, **facts)
        own.emit(record)
        return written

    send(LogEvent.RUN_INFO, stats={"evaluate": 1, "report": 1, "total": 2})
    return own, send, written


def job(number, rule, *outputs, **wildcards):
    return {"jobid": number, "rule_name": rule, "output": list(outputs), "wildcards": wildcards}


def test_plain_lines_results_and_the_end(shown, tmp_path):
    own, send, written = shown
    output = f"{tmp_path}/dolly_sft/eval.json"
    send(LogEvent.JOB_INFO, **job(1, "evaluate", output, study="dolly", method="sft", part=""))
    assert written == ["0/2 jobs, 0:00: evaluate dolly_sft\n"]
    send(LogEvent.JOB_FINISHED, job_id=1)
    assert written[1:] == ["result of dolly_sft\n", "1/2 jobs, 0:00, about 0:00 left\n"]
    send(LogEvent.JOB_INFO, **job(2, "report", f"{tmp_path}/report/index.html"))
    send(LogEvent.JOB_FINISHED, job_id=2)
    del written[:]
    own.close()
    own.close()
    assert written == ["2 jobs took 0:00.\n", f"\nthe table\n\nThe report: {tmp_path}/report/index.html\n"]


def test_errors_are_shown_and_talk_is_not(shown):
    _, send, written = shown
    send(None, message="Assuming unrestricted shared filesystem usage.")
    send(LogEvent.SHELLCMD, message="python script.py")
    assert written == []
    send(LogEvent.JOB_ERROR, logging.ERROR, "Error in rule train")
    send(None, logging.WARNING, "a warning")
    assert written == ["Error in rule train\n", "a warning\n"]


def test_a_live_line_is_written_over_and_no_longer_than_the_terminal(shown, monkeypatch):
    own, send, written = shown
    own.live = True
    monkeypatch.setattr(handler, "LIVE_INTERVAL", 0)
    monkeypatch.setattr(handler.shutil, "get_terminal_size", lambda: SimpleNamespace(columns=30))
    send(LogEvent.JOB_INFO, **job(1, "train", study="dolly", method="todi", seed="1"))
    assert written == [handler.ERASE + "0/2 jobs, 0:00: train dolly_todi_1"[:29]]


def test_a_result_is_a_line():
    metric = SimpleNamespace(mean=0.812, ci95=(0.79, 0.833))
    one = SimpleNamespace(
        study="creditmix", method_title="SFT", primary_metric="macro_f1", metrics={"macro_f1": metric}
    )
    assert results.line(one) == "creditmix         SFT                   macro F1 0.812 [0.790, 0.833]"
    metric.ci95 = None
    assert results.line(one).endswith("macro F1 0.812")
