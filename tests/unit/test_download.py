"""Downloads against a server on the loopback interface that breaks, stalls and lies."""

import hashlib
import http.server
import threading

import pytest

from pipestill.config import SourceConfig
from pipestill.data import download
from pipestill.data.source import provide_raw
from pipestill.errors import UserError
from pipestill.files import read_json

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``CONTENT`` by range; each fault costs one request: a status, or bytes after which to hang up."""

    faults: list = []
    requests: list = []
    content = CONTENT

    def do_GET(self):
        self.requests.append(self.headers.get("Range"))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, str):
            self.send_error(int(fault))
            return
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        if start >= len(self.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        end = len(self.content) if fault is None else start + fault
        self.wfile.write(self.content[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    Handler.faults, Handler.requests, Handler.content = [], [], CONTENT
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/data.json"
        httpd.shutdown()


def fetch(url, path, **options):
    waits = []
    download.fetch(url, path, wait=waits.append, **options)
    return waits


def test_a_broken_connection_goes_on_by_range(server, tmp_path):
    Handler.faults = [1000, "503", 200_000]
    waits = fetch(server, tmp_path / "data.json", digest=DIGEST)
    assert (tmp_path / "data.json").read_bytes() == CONTENT
    assert Handler.requests == [None, "bytes=1000-", "bytes=1000-", "bytes=201000-"]
    assert len(waits) == 3
    assert all(0 < wait <= 30 for wait in waits)
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


def test_a_later_process_goes_on_where_the_killed_one_was(server, tmp_path):
    Handler.faults = [70_000] + ["500"] * 9
    with pytest.raises(UserError, match="after 5 attempts"):
        fetch(server, tmp_path / "data.json")
    assert not (tmp_path / "data.json").exists()
    Handler.faults, Handler.requests = [], []
    fetch(server, tmp_path / "data.json", digest=DIGEST)
    assert Handler.requests == ["bytes=70000-"]


def test_a_complete_part_is_not_fetched_again(server, tmp_path):
    Handler.faults = [len(CONTENT)]
    fetch(server, tmp_path / "first")
    part = tmp_path / f"second.{hashlib.sha256(server.encode()).hexdigest()[:8]}.part"
    part.write_bytes(CONTENT)
    fetch(server, tmp_path / "second", digest=DIGEST)
    assert (tmp_path / "second").read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_again(server, tmp_path):
    Handler.faults = ["404"]
    with pytest.raises(UserError, match="404"):
        fetch(server, tmp_path / "data.json")
    assert len(Handler.requests) == 1


def test_another_digest_is_refused_and_leaves_nothing(server, tmp_path):
    with pytest.raises(UserError, match=f"has sha256 {DIGEST}, not {'0' * 64}"):
        fetch(server, tmp_path / "data.json", digest="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_file_addresses_and_others(tmp_path):
    (tmp_path / "source").write_bytes(CONTENT)
    fetch((tmp_path / "source").as_uri(), tmp_path / "copy", digest=DIGEST)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch((tmp_path / "nothing").as_uri(), tmp_path / "copy2")
    with pytest.raises(UserError, match="only http://, https:// and file://"):
        fetch("ftp://127.0.0.1/x", tmp_path / "x")


def test_the_raw_directory_of_an_address_records_where_it_came_from(server, tmp_path):
    Handler.content = b'[{"question": "Age: 1", "answer": "Good"}]'
    config = SourceConfig(source="url", url=server, sha256=hashlib.sha256(Handler.content).hexdigest())
    provide_raw("creditmix", config, tmp_path / "raw")
    manifest = read_json(tmp_path / "raw" / "manifest.json")
    assert (manifest["source"], manifest["origin"], manifest["bytes"]) == ("url", server, len(Handler.content))
    assert manifest["sha256"] == config.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_a_local_file_is_copied_and_checked(tmp_path):
    (tmp_path / "mine.json").write_text("[]")
    provide_raw("creditmix", SourceConfig(source="file", path=str(tmp_path / "mine.json")), tmp_path / "raw")
    assert (tmp_path / "raw" / "data.json").read_text() == "[]"
    with pytest.raises(UserError, match="has sha256"):
        wrong = SourceConfig(source="file", path=str(tmp_path / "mine.json"), sha256="0" * 64)
        provide_raw("creditmix", wrong, tmp_path / "raw")
    assert (tmp_path / "raw" / "data.json").exists()
