"""Downloads against a server on the loopback interface that breaks, stalls and lies."""

import hashlib
import http.server
import threading
import time

import pytest

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.lock import exclusive
from pipestill.layouts import fetch as fetching
from pipestill.tasks import TASKS
from support.layout_runs import provide

CREDITMIX = TASKS["creditmix"]
CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``content`` by range; each fault costs one request: a status, or bytes after which to hang up."""

    faults: list = []
    requests: list = []
    content = CONTENT
    validators: dict = {}  # headers by which the content is known
    chunked = False
    shift = 0  # by which ranges begin too late
    ranged = True  # ranges are said where they are sent

    def do_GET(self):
        self.requests.append(self.headers.get("Range"))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, str):
            self.send_error(int(fault))
            return
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        strong = [value for value in self.validators.values() if not value.startswith("W/")]
        if "If-Range" in self.headers and self.headers["If-Range"] not in strong:
            start = 0
        if start >= len(self.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        size = len(self.content)
        if start:
            start += self.shift
        if start and self.ranged:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        for name, value in self.validators.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if self.chunked else ("Content-Length", str(size - start))))
        self.end_headers()
        body = self.content[start : size if fault is None else start + fault]
        if self.chunked:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body) + (b"0\r\n\r\n" if fault is None else b""))
        else:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    Handler.faults, Handler.requests, Handler.content, Handler.validators = [], [], CONTENT, {}
    Handler.chunked, Handler.shift, Handler.ranged = False, 0, True
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/data.json"
        httpd.shutdown()


def fetch(url, path, **options):
    waits = []
    fetching.fetch(url, path, wait=waits.append, **options)
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
    part_of(server, tmp_path / "second").write_bytes(CONTENT)
    fetch(server, tmp_path / "second", digest=DIGEST)
    assert (tmp_path / "second").read_bytes() == CONTENT


def part_of(url, path):
    return path.with_name(f"{path.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")


def test_a_part_that_is_longer_than_the_file_starts_over(server, tmp_path):
    part_of(server, tmp_path / "data.json").write_bytes(CONTENT + b"of an older file")
    assert len(fetch(server, tmp_path / "data.json")) == 1
    assert (tmp_path / "data.json").read_bytes() == CONTENT
    assert Handler.requests == [f"bytes={len(CONTENT) + 16}-", None]


@pytest.mark.parametrize("fault", [{"shift": 7}, {"ranged": False}])
def test_a_range_that_was_not_asked_for_starts_over(server, tmp_path, monkeypatch, fault):
    for name, value in fault.items():
        monkeypatch.setattr(Handler, name, value)
    Handler.faults = [1000]
    assert len(fetch(server, tmp_path / "data.json")) == 2
    assert (tmp_path / "data.json").read_bytes() == CONTENT
    assert Handler.requests == [None, "bytes=1000-", None]


def test_a_chunked_body_that_breaks_off_is_asked_for_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "chunked", True)
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")
    monkeypatch.setattr(fetching, "CHUNK", 1000)
    Handler.faults = [1000, 2500]
    assert len(fetch(server, tmp_path / "data.json", digest=DIGEST)) == 2
    assert (tmp_path / "data.json").read_bytes() == CONTENT
    assert Handler.requests == [None, "bytes=1000-", "bytes=3000-"]


@pytest.mark.parametrize("name", ["ETag", "Last-Modified"])
def test_a_file_that_changed_in_between_is_not_spliced(server, tmp_path, name):
    path = tmp_path / "data.json"
    Handler.faults, Handler.validators = [70_000] + ["500"] * 4, {name: '"old"'}
    with pytest.raises(UserError, match="after 5 attempts"):
        fetch(server, path)
    Handler.requests, Handler.faults = [], [50_000]
    Handler.content, Handler.validators = CONTENT[::-1], {name: '"new"'}
    fetch(server, path)
    assert path.read_bytes() == CONTENT[::-1]
    assert Handler.requests == ["bytes=70000-", "bytes=50000-"]  # the first was answered in full
    assert [file.name for file in tmp_path.iterdir()] == ["data.json"]


def test_weak_validators_are_not_sent(server, tmp_path):
    Handler.faults, Handler.validators = [70_000], {"ETag": 'W/"a"'}
    fetch(server, tmp_path / "data.json", digest=DIGEST)
    assert Handler.requests == [None, "bytes=70000-"]
    assert [file.name for file in tmp_path.iterdir()] == ["data.json"]


def test_a_broken_address_is_not_asked_for_again(tmp_path):
    with pytest.raises(UserError, match=r"cannot be fetched: nonnumeric port: 'port'; check the address"):
        fetch("http://127.0.0.1:port/x", tmp_path / "x")


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
    digest = hashlib.sha256(Handler.content).hexdigest()
    provide(CREDITMIX, tmp_path / "raw", source="url", url=server, sha256=digest)
    manifest = read_json(tmp_path / "raw" / "manifest.json")
    assert (manifest["source"], manifest["origin"], manifest["bytes"]) == ("url", server, len(Handler.content))
    assert manifest["sha256"] == digest and "unchecked" not in manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "raw.lock"]


def test_what_has_no_digest_is_said_to_be_unchecked(server, tmp_path, capsys):
    Handler.content = b'[{"question": "Age: 1", "answer": "Good"}]'
    provide(CREDITMIX, tmp_path / "raw", source="url", url=server)
    manifest = read_json(tmp_path / "raw" / "manifest.json")
    assert manifest["unchecked"] == "no digest is recorded"
    said = f"{server}: unchecked, no digest is recorded; sha256 is {hashlib.sha256(Handler.content).hexdigest()}"
    assert said in capsys.readouterr().out


def test_a_job_that_outlived_its_workflow_is_waited_for(tmp_path):
    done = []

    def take():
        provide(CREDITMIX, tmp_path / "raw", rows=30)
        done.append("job")

    with exclusive(tmp_path / "raw"):
        job = threading.Thread(target=take)
        job.start()
        time.sleep(0.3)
        assert [path.name for path in tmp_path.iterdir()] == ["raw.lock"]
        done.append("orphan")
    job.join()
    assert done == ["orphan", "job"]
    assert (tmp_path / "raw" / "data.json").exists()


def test_a_local_file_is_copied_and_checked(tmp_path):
    (tmp_path / "mine.json").write_text("[]")
    mine = {"source": "file", "path": str(tmp_path / "mine.json")}
    provide(CREDITMIX, tmp_path / "raw", **mine)
    assert (tmp_path / "raw" / "data.json").read_text() == "[]"
    with pytest.raises(UserError, match="has sha256"):
        provide(CREDITMIX, tmp_path / "raw", **mine, sha256="0" * 64)
    assert (tmp_path / "raw" / "data.json").exists()
