"""A server on this machine for a model of the run itself, which speaks the same protocol."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipestill.annotation import model_server
from pipestill.errors import UserError
from pipestill.models.lineage import is_adapter

START_S = 600.0  # seconds that a server may take until it answers
STOP_S = 10.0
POLL_S = 0.1


@dataclass(frozen=True)
class LocalModel:
    """A trained model to serve.

    Attributes:
        directory: full weights, or an adapter, which is merged into its base to serve it.
        base: its base model.
        device: as in the configuration's ``hardware``.
        threads: of the server.
        log: file for the server's output.
    """

    directory: Path
    base: Path
    device: str
    threads: int
    log: Path


@contextmanager
def serve(model: LocalModel) -> Iterator[tuple[str, str]]:
    """Serve ``model`` by ``transformers serve``; yields the address up to ``/v1`` and the name to ask for.

    Raises:
        UserError: the server does not start; the sentence ends with its last line of output.
    """
    port = free_port()
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(model.threads),
    }
    with tempfile.TemporaryDirectory() as merged:
        adapter = is_adapter(model.directory)
        name = merged if adapter else str(model.directory)
        command = [sys.executable, "-m", model_server.__name__, name, "--device", model.device, "--port", str(port)]
        if adapter:
            command += ["--adapter", str(model.directory), "--base", str(model.base)]
        with running(command, f"http://127.0.0.1:{port}/health", model.log, environment):
            yield f"http://127.0.0.1:{port}/v1", name


@contextmanager
def running(
    command: Sequence[str],
    health: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    start_s: float = START_S,
) -> Iterator[subprocess.Popen]:
    """Run a server; yields its process once ``health`` answers, and stops it by its own process id.

    Its standard input is a pipe from this process, which closes whenever this process dies; a server that watches it
    (:mod:`pipestill.annotation.model_server`) then ends too.

    Raises:
        UserError: it ends, or does not answer within ``start_s`` seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment)
    try:
        _wait_for(process, health, log, start_s)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdin.close()


def free_port() -> int:
    """A free port of the loopback interface."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait_for(process: subprocess.Popen, health: str, log: Path, start_s: float) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UserError(f"the model server ended with {process.returncode}; {log} ends: {_last_line(log)}")
        try:
            with direct.open(health, timeout=start_s):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise UserError(f"the model server did not answer within {start_s:g} s; {log} ends: {_last_line(log)}")


def _last_line(log: Path) -> str:
    return (log.read_text(encoding="utf-8", errors="replace").split("\n") or [""])[-2:][0].strip()
