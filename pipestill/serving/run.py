"""Running a server: its socket, its log, and its end."""

import logging
import socket
import sys

import uvicorn

from pipestill.errors import UserError
from pipestill.serving.app import create_app
from pipestill.serving.protocol import DeadlineProtocol
from pipestill.serving.settings import ServeSettings


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
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise UserError(f"cannot listen at {host} port {port} ({error.strerror}): choose another --port") from None
    return listening


class Server(uvicorn.Server):
    """A server that answers what it has accepted, and refuses what comes later, before it ends."""

    async def main_loop(self) -> None:
        """Until it is told to end, then until all is answered."""
        await super().main_loop()
        serving = self.config.app.state.serving
        serving.draining = True

    async def _serve(self, sockets=None) -> None:
        await super()._serve(sockets)
        self._captured_signals.clear()  # told to end, it has ended well


def serve(settings: ServeSettings) -> None:
    """Serve until told to end.

    Raises:
        UserError: there is nothing to serve, or no place to listen at.
    """
    app = create_app(settings)
    listening = listen_at(settings.host, settings.port)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    how = {"log_config": None, "access_log": False, "server_header": False, "proxy_headers": False, "ws": "none"}
    config = uvicorn.Config(app, http=DeadlineProtocol, **how)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    count = len(app.state.serving.shelf.names())
    print(f"serving {count} experiments of {settings.results} at http://{shown}:{port}", flush=True)
    Server(config).run([listening])
