"""Servers that are started, waited for and stopped by their own process id."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipestill.annotation.local_server import free_port, running
from pipestill.errors import UserError

SERVER = """
import http.server, os, sys, threading
from pipestill.annotation.model_server import _end_with_parent
threading.Thread(target=_end_with_parent, daemon=True).start()
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process_id}/stat").read_text().rsplit(")")[1].split()[0]


def test_a_server_runs_inside_and_nowhere_else(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with running([sys.executable, "-c", SERVER, str(port)], url, tmp_path / "log") as process:
        assert alive(process.pid)
    assert process.returncode == -signal.SIGTERM
    assert "serving" in (tmp_path / "log").read_text()


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path):
    command = [sys.executable, "-c", "print('first'); print('no such model'); raise SystemExit(5)"]
    with (
        pytest.raises(UserError, match=r"ended with 5; .*log ends: no such model"),
        running(command, "http://127.0.0.1:9/", tmp_path / "log"),
    ):
        pass


def test_a_server_that_never_answers_is_stopped(tmp_path):
    command = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self.pid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Recorded)
        patch.setattr("pipestill.annotation.local_server.STOP_S", 0.2)
        with (
            pytest.raises(UserError, match=r"did not answer within 0\.5 s"),
            running(command, f"http://127.0.0.1:{free_port()}/", tmp_path / "log", start_s=0.5),
        ):
            pass
    assert len(started) == 1
    assert not alive(started[0])


def test_a_server_ends_with_its_parent_when_that_is_killed(tmp_path):
    port = free_port()
    parent = f"""
import sys, time
from pathlib import Path
from pipestill.annotation.local_server import running
command = [sys.executable, "-c", {SERVER!r}, "{port}"]
with running(command, "http://127.0.0.1:{port}/", Path("log")) as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    server = int(process.stdout.readline())
    assert alive(server)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(server)
