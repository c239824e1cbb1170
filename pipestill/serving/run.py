"""Running a server: its socket, its log, and its end."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType

import uvicorn

from pipestill.errors import UserError
from pipestill.models.hardware import bound_kernel_caches, share_freed_memory
from pipestill.serving.app import create_app
from pipestill.serving.protocol import protocol_of
from pipestill.serving.serving import Serving
from pipestill.serving.settings import ServeSettings

BACKLOG = 2048
TICK = 0.05  # seconds


def listen_at(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: there is no such place, or it is taken.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port} is none: choose one from 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise UserError(f"--host {host!r} is no address of this machine: choose another") from None
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends small packets at once
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        said = f"cannot listen at {host} port {port} ({error.strerror}): choose another --host or --port"
        raise UserError(said) from None
    return listening


def accepted(listening: socket.socket) -> Iterator[socket.socket]:
    """Connections that wait at a socket that does not block."""
    with suppress(BlockingIOError):
        while True:
            yield listening.accept()[0]


class StepHandler(logging.StreamHandler):
    """Writes the lines of one step of the event loop at once, those of other threads as they come."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            super().emit(record)
            return
        if not self._lines:
            loop.call_soon(self.flush)
        self._lines.append(f"{self.format(record)}{self.terminator}")

    def flush(self) -> None:
        """Write them."""
        lines, self._lines = self._lines, []
        self.stream.write("".join(lines))
        super().flush()


class Server(uvicorn.Server):
    """A server that, when told to end, answers what it has accepted and refuses what comes later, and then ends.

    Args:
        config: of uvicorn.
        serving: the parts of the application.
    """

    def __init__(self, config: uvicorn.Config, serving: Serving):
        super().__init__(config)
        self.serving = serving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; told so a second time, end at once."""
        self.force_exit = self.should_exit
        self.should_exit = self.serving.draining = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait until all is answered; meanwhile `/ready` says that this server ends."""
        while self.serving.admitted and not self.force_exit:
            await asyncio.sleep(TICK)
        await self._stop_listening(sockets or [])
        await super().shutdown(sockets)

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Refuse those whom the system has let in and nobody has asked: it would cut them off."""
        waiting = [connection for listening in sockets for connection in accepted(listening)]
        for server in self.servers:
            server.close()
        loop, common = asyncio.get_running_loop(), {"config": self.config, "server_state": self.server_state}
        for connection in waiting:
            protocol = self.config.http_protocol_class(**common, app_state=self.lifespan.state)
            await loop.connect_accepted_socket(lambda protocol=protocol: protocol, connection)
        await asyncio.sleep(TICK)


def serve(settings: ServeSettings) -> None:
    """Serve until told to end.

    Raises:
        UserError: there is nothing to serve, or no place to listen at.
    """
    share_freed_memory()
    bound_kernel_caches()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one prompt is no work for several threads
    app = create_app(settings)
    serving = app.state.serving
    listening = listen_at(settings.host, settings.port)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False
    logging.basicConfig(level=logging.INFO, handlers=[StepHandler()], format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=protocol_of(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(settings.request_seconds) + 1,
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    names = serving.shelf.names()
    print(f"serving {len(names)} experiments of {settings.results} at http://{shown}:{port}", flush=True)
    Server(config, serving).run([listening])
