"""Servers that are started, waited for and stopped by their own process id."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipestill.annotation import annotate as job
from pipestill.annotation.guard import PROOF, Guard, proof_of
from pipestill.annotation.local_server import LocalModel, Server, running, serve
from pipestill.errors import UserError
from support.annotation import settings, write_records

SERVER = """
import http.server, json, os, socket, sys
from pipestill.annotation.guard import PROOF, proof_of
from pipestill.annotation.model_server import key_from_parent

key = key_from_parent()
print("serving", flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["Authorization"] == f"Bearer {key}" else 401)
        self.send_header(PROOF, proof_of(key))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

    def do_POST(self):
        print("out of memory", flush=True)
        os._exit(7)

server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[sys.argv.index("--socket") + 1]))
server.serve_forever()
"""
COMMAND = [sys.executable, "-c", SERVER]


def alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process_id}/stat").read_text().rsplit(")")[1].split()[0]


def test_a_server_runs_inside_and_nowhere_else(tmp_path):
    with running(COMMAND, tmp_path / "log") as server:
        assert alive(server.process.pid)
        server.check()
    assert server.process.returncode == -signal.SIGTERM
    assert "serving" in (tmp_path / "log").read_text()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port))


def test_the_key_is_asked_for_and_stands_in_no_list_of_processes(tmp_path):
    with running(COMMAND, tmp_path / "log") as server, running(COMMAND, tmp_path / "other") as other:
        assert server.key != other.key
        for key in ("", "Bearer ", f"Bearer {other.key}"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(urllib.request.Request(server.url, headers={"Authorization": key}))
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{server.process.pid}/{name}").read_bytes()
            assert server.key.encode() not in shown
            assert str(server.port).encode() not in shown
    assert server.key not in (tmp_path / "log").read_text()


def test_the_port_goes_to_nobody_else_even_when_the_server_has_ended(tmp_path):
    def take():
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", server.port))

    with running(COMMAND, tmp_path / "log") as server:
        take()
        server.process.kill()
        with pytest.raises(UserError, match=r"the model server ended with -9; .*log ends: serving"):
            server.check()
        take()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            assert connection.recv(1) == b"", "it is closed, and nobody waits for an answer"


class Running:
    """A process that does not end."""

    def wait(self, timeout):
        raise subprocess.TimeoutExpired("server", timeout)


def test_a_server_that_does_not_know_the_key_is_not_talked_to(tmp_path, monkeypatch):
    answered = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self):
            answered.append(self.path)
            self.send_response(200)
            self.send_header(PROOF, proof_of("another key"))
            self.send_header("Content-Length", "0")
            self.end_headers()

    monkeypatch.setattr("pipestill.annotation.local_server.POLL_S", 0.01)
    (tmp_path / "log").touch()
    with HTTPServer(("127.0.0.1", 0), Impostor) as impostor:
        thread = threading.Thread(target=impostor.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        with pytest.raises(UserError, match=r"did not answer within 0\.2 s"):
            Server(Running(), tmp_path / "log", impostor.server_port, "the key").wait_until_ready(0.2)
        impostor.shutdown()
        thread.join()
    assert set(answered) == {"/health"}


def test_the_guard_lets_nobody_in_without_the_key_and_proves_itself():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    def ask(*headers):
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(Guard(app, "the-key")({"type": "http", "headers": headers}, None, send))
        return sent[0]["status"], dict(sent[0]["headers"])

    proof = {PROOF.lower().encode(): proof_of("the-key").encode()}
    assert ask((b"authorization", b"Bearer the-key")) == (200, {b"a": b"b"} | proof)
    for headers in ([], [(b"authorization", b"Bearer another")], [(b"authorization", b"the-key")]):
        status, given = ask(*headers)
        assert status == 401
        assert not set(proof) & set(given)


@pytest.fixture
def served(monkeypatch):
    """Models are served by the server above."""
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: start([*COMMAND, *command[3:]], **options))


def test_the_death_of_a_server_ends_the_run_with_its_last_words(tmp_path, served, monkeypatch):
    monkeypatch.setattr(job, "verify_sha256sums", lambda directory: "0" * 64)
    records = write_records(tmp_path / "records.jsonl", [str(number) for number in range(30)])
    changes = {"base_url": None, "provider": "local", "first_wait_s": 60.0}
    local = LocalModel(tmp_path, tmp_path, "cpu", 1, tmp_path / "server.log")
    with pytest.raises(UserError, match=r"0 of 30 records .*the model server ended with 7; .*log ends: out of memory"):
        job.annotate(settings(None, tmp_path, **changes), "t", records, local, tmp_path / "out", tmp_path / "usage")
    assert (tmp_path / "server.log").read_text() == "serving\nout of memory\n"


def test_merged_weights_lie_beside_the_output_as_long_as_they_are_served(tmp_path, served, monkeypatch):
    monkeypatch.setattr("pipestill.annotation.local_server.is_adapter", lambda directory: True)
    merged = tmp_path / "out.jsonl.merged"
    merged.mkdir()
    (merged / "of_a_killed_attempt.safetensors").write_bytes(b"0")
    with serve(LocalModel(tmp_path, tmp_path, "cpu", 1, tmp_path / "log"), merged) as (server, name):
        assert name == str(merged)
        assert name in server.process.args
        assert not merged.exists()
        merged.mkdir()
        (merged / "model.safetensors").write_bytes(b"0")
    assert not merged.exists()


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path):
    command = [sys.executable, "-c", "print('first'); print('no such model'); raise SystemExit(5)"]
    with (
        pytest.raises(UserError, match=r"ended with 5; .*log ends: no such model"),
        running(command, tmp_path / "log"),
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
        patch.setattr("pipestill.job.child.STOP_S", 0.2)
        patch.setattr("pipestill.job.child.END_S", 0.0)
        with (
            pytest.raises(UserError, match=r"did not answer within 0\.5 s"),
            running(command, tmp_path / "log", start_s=0.5),
        ):
            pass
    assert len(started) == 1
    assert not alive(started[0])


def test_a_server_ends_with_its_parent_when_that_is_killed(tmp_path):
    parent = f"""
import sys, time
from pathlib import Path
from pipestill.annotation.local_server import running
with running([sys.executable, "-c", {SERVER!r}], Path("log")) as server:
    print(server.process.pid, flush=True)
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
