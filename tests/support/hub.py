"""A server on the loopback interface that answers as the model hub does, for one repository at one revision."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPO, REVISION = "someone/tiny", "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the files of ``root``; ``requests`` is the log, ``cut`` names files whose first download breaks off."""

    daemon_threads = True

    def __init__(self, root: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.requests, self.cut, self.refuse = root, [], set(), None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fetched(self) -> set[str]:
        return {path.rsplit("/", 1)[-1] for method, path, _ in self.requests if method == "GET" and "/resolve/" in path}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        if self.server.refuse:
            status, code = self.server.refuse
            return self.reply(status, b"{}", {"X-Error-Code": code})
        if path == f"/api/models/{REPO}/tree/{REVISION}":
            files = sorted(file for file in self.server.root.rglob("*") if file.is_file())
            rows = [
                {"type": "file", "path": file.relative_to(self.server.root).as_posix(), "size": file.stat().st_size}
                | {"oid": self.etag(file)}
                for file in files
            ]
            return self.reply(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})
        prefix = f"/{REPO}/resolve/{REVISION}/"
        file = self.server.root / path.removeprefix(prefix)
        if not path.startswith(prefix) or not file.is_file():
            return self.reply(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        self.send_file(file, body)

    def etag(self, file: Path) -> str:
        return hashlib.sha1(file.read_bytes()).hexdigest()

    def send_file(self, file: Path, body: bool):
        content, start = file.read_bytes(), 0
        headers = {"ETag": f'"{self.etag(file)}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        part = content[start:]
        if body and file.name in self.server.cut:
            self.server.cut.discard(file.name)
            self.reply(206 if wanted else 200, part[: len(part) // 2], headers, announced=len(part))
            self.close_connection = True
            return
        self.reply(206 if wanted else 200, part if body else b"", headers, announced=len(part))

    def reply(self, status: int, content: bytes, headers: dict[str, str], announced: int | None = None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if announced is None else announced))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def serve(root: Path):
    """A running :class:`Hub` for ``root``."""
    hub = Hub(root)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join(timeout=10)
