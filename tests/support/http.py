"""A client of HTTP that may do wrong: bytes in, an answer out."""

import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """An answer of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        """Its body as JSON."""
        return json.loads(self.body)


def connect(address: str) -> socket.socket:
    """A connection."""
    where = urlsplit(address)
    return socket.create_connection((where.hostname, where.port), timeout=60)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as bytes; ``_`` in names of headers stands for ``-``."""
    lines = {"Host": "localhost", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def read(connection: socket.socket) -> Answer:
    """The next answer."""
    with connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        headers = {}
        while line := file.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, file.read(int(headers["content-length"])))


def call(address: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """The answer to one request; a body that is no bytes is sent as JSON."""
    if body is not None:
        headers.setdefault("Content_Type", JSON)
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with connect(address) as connection:
        connection.sendall(request(method, path, body or b"", **headers))
        return read(connection)
