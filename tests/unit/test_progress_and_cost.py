import io
import time

from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress, format_duration


def test_durations():
    assert [format_duration(s) for s in (0, 59.6, 75, 3700)] == ["0:00", "1:00", "1:15", "1:01:40"]


def test_a_line_has_count_rate_and_time_left():
    progress = Progress(100, "rows", "reading", done=20, stream=io.StringIO())
    progress.done = 60
    assert progress.line(10) == "reading: 60/100 rows, 4.0/s, 0:10 left"
    progress.done = 100
    assert progress.line(20, "loss 1.0") == "reading: 100/100 rows, 4.0/s, took 0:20 loss 1.0"


def test_logs_get_plain_lines_now_and_then_and_terminals_a_live_one():
    log = io.StringIO()
    progress = Progress(3, "rows", "reading", stream=log)
    for _ in range(3):
        progress.update()
    assert log.getvalue().count("\n") == 1
    assert "\r" not in log.getvalue()

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    progress = Progress(2, "rows", "reading", stream=terminal)
    progress.shown -= 1
    progress.update()
    progress.update()
    assert terminal.getvalue().count("\r") == 2
    assert terminal.getvalue().endswith("\n")


def test_costs_add_up_over_attempts_but_peaks_do_not(tmp_path):
    ledger = tmp_path / "cost.json"
    first = CostMeter(ledger)
    first.tokens += 10
    time.sleep(0.05)
    first.save()
    saved = first.total()
    second = CostMeter(ledger)
    second.tokens += 5
    total = second.total()
    assert total["tokens"] == 15
    assert total["wall_s"] >= saved["wall_s"]
    assert total["cpu_s"] >= 2 * saved["cpu_s"] - 0.05  # the same process is measured twice here
    assert total["peak_memory_mb"] < 1.5 * saved["peak_memory_mb"]
    assert total["gpu_memory_mb"] is None
