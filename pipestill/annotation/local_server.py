"""A server on this machine for a model of the run itself, which speaks the same protocol."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipestill.annotation import model_server
from pipestill.annotation.guard import PROOF, proof_of
from pipestill.errors import UserError
from pipestill.job.child import Child
from pipestill.models.lineage import is_adapter

START_S = 600.0  # seconds that a server may take until it answers
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


@dataclass(frozen=True)
class Server(Child):
    """A server that runs.

    Attributes:
        port: of the loopback interface.
        key: that requests to it must bear, of this start alone.
    """

    port: int
    key: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float) -> None:
        """Wait for an answer to its name that only this server can give.

        Raises:
            UserError: it ends, or does not answer within ``seconds``.
        """
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        health = urllib.request.Request(f"{self.url}/health", headers={"Authorization": f"Bearer {self.key}"})
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                with direct.open(health, timeout=left) as reply:
                    if reply.headers.get(PROOF) == proof_of(self.key):
                        return
            except OSError:
                self.check()
            time.sleep(POLL_S)
        raise UserError(f"the model server did not answer within {seconds:g} s; {self.last_line()}")

    def turn_away(self, listening: socket.socket) -> None:
        """Once the process has ended, close what comes to its port, which goes to no other process."""
        self.process.wait()
        with contextlib.suppress(OSError):
            listening.setblocking(True)  # the server set it otherwise, on this side too
            while True:
                listening.accept()[0].close()


@contextmanager
def serve(model: LocalModel, merged: Path) -> Iterator[tuple[Server, str]]:
    """Serve ``model`` by ``transformers serve``; yields the server and the name to ask for.

    Args:
        model: the model.
        merged: directory for the weights of an adapter and its base, for as long as they are served.

    Raises:
        UserError: the server does not start; the sentence ends with its last line of output.
    """
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(model.threads),
    }
    adapter = is_adapter(model.directory)
    name = str(merged if adapter else model.directory)
    command = [sys.executable, "-m", model_server.__name__, name, "--device", model.device]
    if adapter:
        command += ["--adapter", str(model.directory), "--base", str(model.base)]
    shutil.rmtree(merged, ignore_errors=True)  # of an attempt that was killed
    try:
        with running(command, model.log, environment) as server:
            yield server, name
    finally:
        shutil.rmtree(merged, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, start_s: float = START_S
) -> Iterator[Server]:
    """Run a server; yields it once it answers, and stops it by its own process id.

    ``command`` is called with ``--socket <n>``, the file descriptor of a socket that listens already and stays open
    here, so that no other process can take the port. Its standard input is a pipe from this process: the first line is
    the key that requests bear, and it closes whenever this process dies, on which the server ends too.

    Raises:
        UserError: it ends, or does not answer within ``start_s`` seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_urlsafe(32)
    with socket.create_server(("127.0.0.1", 0)) as listening, open(log, "wb") as file:
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [*command, "--socket", str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=environment,
            pass_fds=[descriptor],
        )
        server = Server(process, log, listening.getsockname()[1], key)
        threading.Thread(target=server.turn_away, args=(listening,), daemon=True).start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended
                process.stdin.write(f"{key}\n".encode())
                process.stdin.flush()
            server.wait_until_ready(start_s)
            yield server
        finally:
            server.stop()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
