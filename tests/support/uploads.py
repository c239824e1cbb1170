"""A server on the loopback interface that takes models as the hub does: repositories, small files, LFS, commits."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import urlsplit

TOKEN = "hf_of_a_test"
COMMIT = "0" * 40


class Uploads(ThreadingHTTPServer):
    """What was uploaded: ``repositories`` with their visibility, their ``files``, and the ``paths`` that were asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.private, self.files, self.stored, self.paths, self.refuse = {}, {}, {}, [], None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *_):
        pass

    def do_PUT(self):
        assert "Authorization" not in self.headers  # the place is told to be written without
        self.server.stored[PurePosixPath(self.path).name] = self.body()
        self.reply(200, {})

    def do_POST(self):
        path, content, server = urlsplit(self.path).path, self.body(), self.server
        server.paths.append(path)
        if server.refuse and path.endswith(server.refuse[0]):
            return self.reply(server.refuse[1], {"error": "no"})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply(401, {"error": "Invalid username or password."})
        if path.endswith("/commit/main"):
            return self.commit(path.split("/")[3:5], [json.loads(line) for line in content.splitlines()])
        asked = json.loads(content)
        if path == "/api/repos/create":
            repo = f"{asked['organization']}/{asked['name']}"
            known = repo in server.private
            server.private.setdefault(repo, asked["visibility"] == "private")
            return self.reply(409 if known else 200, {"url": f"{server.url}/{repo}"})
        if path == "/api/validate-yaml":
            return self.reply(200, {"warnings": [], "errors": []})
        if path.endswith("/preupload/main"):
            large = {each["path"]: each["path"].endswith(".safetensors") for each in asked["files"]}
            files = [
                {"path": path, "uploadMode": "lfs" if big else "regular", "shouldIgnore": False}
                for path, big in large.items()
            ]
            return self.reply(200, {"files": files})
        if path.endswith(".git/info/lfs/objects/batch"):
            places = [
                {**each, "actions": {"upload": {"href": f"{server.url}/stored/{each['oid']}"}}}
                for each in asked["objects"]
            ]
            return self.reply(200, {"transfer": "basic", "objects": places})
        self.reply(404, {"error": path})

    def commit(self, repo, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.server.files["/".join(repo), value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                self.server.files["/".join(repo), value["path"]] = self.server.stored[value["oid"]]
        self.reply(200, {"commitUrl": f"{self.server.url}/{'/'.join(repo)}/commit/{COMMIT}", "commitOid": COMMIT})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def serve_uploads():
    """A running :class:`Uploads`."""
    server = Uploads()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
