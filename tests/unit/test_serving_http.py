"""HTTP of a server: hosts, tokens, origins, and clients that are slow, cut off or wrong."""

import asyncio
import logging
import shutil
import socket
import threading
import time
from base64 import b64encode
from contextlib import ExitStack

import pytest

from pipestill.inference import by_hand
from pipestill.serving import batcher
from pipestill.serving import pool as pools
from pipestill.serving.run import StepHandler
from pipestill.serving.settings import ServeSettings
from support.http import call, connect, read, request
from support.served import address_of, make_results, served, server_of

FEATURES = {"features": "Age: 23.0"}
PATH = "/infer/creditmix_sft"
BODY = b'{"features": "Age: 23.0"}'
KEY = {"Authorization": "Bearer t0ken"}
ASKED = request("POST", PATH, BODY, Content_Type="application/json", **KEY)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"), creditmix={})


@pytest.fixture(scope="module")
def strict(results):
    """A server with a token, an origin and short deadlines."""
    how = {"token": "t0ken", "allow_origins": ("https://known.example",), "allow_hosts": ("known.example",)}
    with served(results, header_seconds=0.3, body_seconds=0.3, request_seconds=30, **how) as (address, _):
        yield address


def test_a_token_is_needed_for_all_but_what_watchers_ask(strict):
    for key in ({}, {"Authorization": "Bearer t0ke"}, {"Authorization": "t0ken"}, {"Authorization": "Basic t0ken"}):
        found = call(strict, "POST", PATH, FEATURES, **key)
        assert found.status == 401 and found.headers["www-authenticate"] == "Bearer" and "t0ken" not in str(found.body)
    assert call(strict, "POST", PATH, FEATURES, **KEY).status == 200
    assert call(strict, "GET", "/health").status == 200 and call(strict, "GET", "/ready").status == 200
    assert {call(strict, "GET", path).status for path in ("/studies", "/metrics", "/openapi.json", "/docs")} == {401}
    assert "t0ken" not in repr(ServeSettings(token="t0ken"))


def test_browsers_ask_for_the_token_of_the_description(strict):
    known, other = ({"Authorization": f"Basic {b64encode(name).decode()}"} for name in (b"me:t0ken", b"t0ken:me"))
    for path in ("/docs", "/openapi.json"):
        assert call(strict, "GET", path, **known).status == 200
        for wrong in (other, {"Authorization": "Basic a"}, {}):
            found = call(strict, "GET", path, **wrong)
            assert found.status == 401 and found.headers["www-authenticate"].startswith("Basic realm=")
    assert call(strict, "GET", "/studies", **known).status == 401  # pages of others could have a browser send it
    assert call(strict, "GET", "/openapi.json", **KEY).json()["security"] == [{"token": []}]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((host, 200) for host in ("localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]", "[::1]:80", "known.example:1")),
        *(
            (host, 421)
            for host in ("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil", "a b")
        ),
    ],
)
def test_foreign_hosts_are_refused(strict, host, status):
    assert call(strict, "GET", "/health", Host=host).status == status


def test_a_host_is_needed(strict):
    with connect(strict) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert read(connection).status == 400


def test_only_known_origins_may_read(strict):
    known = call(strict, "GET", "/health", Origin="https://known.example")
    assert known.headers["access-control-allow-origin"] == "https://known.example"
    assert "access-control-allow-origin" not in call(strict, "GET", "/health", Origin="https://evil.example").headers
    first = call(strict, "OPTIONS", PATH, Origin="https://known.example", Access_Control_Request_Method="POST")
    assert first.status == 200 and "POST" in first.headers["access-control-allow-methods"]


def test_without_leave_no_origin_may_read(results):
    with served(results) as (address, _):
        asking = {"Origin": "https://known.example", "Access_Control_Request_Method": "POST"}
        found = call(address, "OPTIONS", PATH, **asking)
        assert found.status == 405 and "access-control-allow-origin" not in found.headers


@pytest.mark.parametrize(
    "part",
    [b"", b"POST /infer", ASKED[:-1], ASKED[: -len(BODY)]],
    ids=["nothing", "part of the head", "part of the body", "no body"],
)
def test_a_request_that_does_not_arrive_is_refused(strict, part):
    with connect(strict) as connection:
        connection.sendall(part)
        found = read(connection)
        assert found.status == 408 and found.headers["connection"] == "close" and "in time" in found.json()["detail"]
        assert connection.recv(1) == b""


def test_a_request_that_drips_is_refused(strict):
    with connect(strict) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found = []
        reading = threading.Thread(target=lambda: found.append(read(connection)))
        reading.start()
        for byte in ASKED * 50:  # each byte is in time, all of them are not
            try:
                connection.send(bytes([byte]))
            except OSError:
                break
            if not reading.is_alive():
                break
            time.sleep(0.02)
        reading.join()
        assert found[0].status == 408


def test_what_is_no_http_is_refused(strict):
    for wrong in (
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"G" * 70_000 + b"\r\n",
    ):
        with connect(strict) as connection:
            connection.sendall(wrong)
            found = read(connection)
            assert found.status == 400 and found.headers["content-type"] == "application/problem+json"


def test_a_long_body_is_refused_with_and_without_its_length(strict):
    with connect(strict) as connection:
        connection.sendall(request("POST", PATH, **KEY, Content_Length="9" * 20))
        assert read(connection).status == 413
    with connect(strict) as connection:
        head = request("POST", PATH, **KEY, Content_Type="application/json", Transfer_Encoding="chunked")
        connection.sendall(head.replace(b"Content-Length: 0\r\n", b""))
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
        assert read(connection).status == 413
        connection.sendall(b"0\r\n\r\n")  # the rest of the body comes after its answer
        while connection.recv(65536):  # and a client that is silent then is not waited for
            pass


def test_requests_on_one_connection_are_answered_in_their_order(strict):
    with connect(strict) as connection:
        connection.sendall(ASKED + request("GET", "/health") + ASKED)
        answers = [read_whole(connection) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3 and answers[1].json() == {"status": "ok"}
        assert answers[0].json()["prediction"] == answers[2].json()["prediction"]


def read_whole(connection):
    """As :func:`read`, without reading ahead."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return type("Whole", (), {"status": int(head.split()[1]), "json": lambda self: __import__("json").loads(body)})()


@pytest.fixture
def held(monkeypatch):
    """Holds the model back until it is let; says when it has begun."""
    begun, let = threading.Semaphore(0), threading.Event()

    def replies(*args):
        begun.release()
        assert let.wait(60)
        yield from by_hand.replies_of(*args)

    monkeypatch.setattr(batcher, "replies_of", replies)
    yield begun, let
    let.set()


def in_thread(*args, **how):
    found = []
    thread = threading.Thread(target=lambda: found.append(call(*args, **how)))
    thread.start()
    return thread, found


def test_a_server_without_a_model_is_not_ready_and_says_why(results, tmp_path, monkeypatch):
    broken = shutil.copytree(results, tmp_path / "results")
    weights = broken / "models/base/model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    monkeypatch.setattr(pools, "RETRY_SECONDS", 0)
    with served(broken) as (address, _):
        wait_until(lambda: "cannot be loaded" in call(address, "GET", "/ready").json()["detail"])
        found = call(address, "POST", PATH, FEATURES)
        assert found.status == 503 and "model.safetensors" in found.json()["detail"] and "retry-after" in found.headers
        assert call(address, "GET", "/health").status == 200
        weights.write_bytes(content)
        wait_until(lambda: call(address, "GET", "/ready").status == 200)
        assert call(address, "POST", PATH, FEATURES).status == 200


def test_too_many_requests_are_told_to_come_again(results, held):
    begun, let = held
    with served(results, queue=1) as (address, _):
        first, answer = in_thread(address, "POST", PATH, FEATURES)
        assert begun.acquire(timeout=60)
        found = call(address, "POST", PATH, FEATURES)
        assert found.status == 429 and 1 <= int(found.headers["retry-after"]) <= 3
        assert "1 requests wait already" in found.json()["detail"]
        let.set()
        first.join()
        assert answer[0].status == 200 and call(address, "POST", PATH, FEATURES).status == 200


def test_judging_counts_as_a_request(results):
    with served(results, queue=1) as (address, server):
        asked = "POST", "/judge/creditmix", {"example": 1, "prediction": "Good"}
        assert call(address, *asked).status == 200
        with server.serving.admission():
            assert call(address, *asked).status == 429
        server.serving.draining = True
        assert call(address, *asked).status == 503


def test_an_answer_that_takes_too_long_is_given_up(results, held):
    begun, let = held
    with served(results, request_seconds=0.5) as (address, server):
        wait_until(lambda: call(address, "GET", "/ready").status == 200)
        found = call(address, "POST", PATH, FEATURES)
        assert found.status == 504 and "within 0.5 seconds" in found.json()["detail"]
        assert begun.acquire(timeout=60)
        let.set()
        assert server.serving.admitted == 0


def test_the_work_for_a_client_that_has_gone_is_dropped(results, held):
    begun, let = held
    with served(results) as (address, server):
        first, answer = in_thread(address, "POST", PATH, FEATURES)
        assert begun.acquire(timeout=60)
        with connect(address) as connection:
            connection.sendall(request("POST", PATH, BODY, Content_Type="application/json"))
            wait_until(lambda: server.serving.admitted == 2)
        wait_until(lambda: server.serving.admitted == 1)
        let.set()
        first.join()
        assert answer[0].status == 200
        gone = 'pipestill_requests_total{path="/infer/{experiment}",status="499"} 1.0'
        counted = gone, "pipestill_batch_size_sum 1.0"
        wait_until(lambda: all(each in call(address, "GET", "/metrics").body.decode() for each in counted))


def wait_until(true):
    """Wait for what must become true."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_that_ends_answers_what_it_has_accepted_and_refuses_the_rest(results, held):
    begun, let = held
    with served(results) as (address, server):
        first, answer = in_thread(address, "POST", PATH, FEATURES)
        assert begun.acquire(timeout=60)
        server.handle_exit(15, None)
        ready, late = call(address, "GET", "/ready"), call(address, "POST", PATH, FEATURES)
        assert (ready.status, late.status) == (503, 503) and "about to end" in late.json()["detail"]
        assert call(address, "GET", "/health").status == 200
        let.set()
        first.join()
        assert answer[0].status == 200


def test_who_waits_at_a_server_that_ends_is_refused_and_not_cut_off(results):
    async def end() -> list:
        with ExitStack() as stack:
            server, listening = server_of(results)
            server.config.load()
            server.lifespan = server.config.lifespan_class(server.config)
            await server.startup([listening])
            server.handle_exit(15, None)
            address = address_of(listening)
            waiting = [stack.enter_context(connect(address)) for _ in range(3)]  # in no turn of the event loop
            for connection in waiting:
                connection.sendall(request("POST", PATH, BODY, Content_Type="application/json"))
            await server.shutdown([listening])
            return [read(connection) for connection in waiting]

    for found in asyncio.run(end()):
        assert found.status == 503 and "about to end" in found.json()["detail"]


def test_lines_of_the_log_are_written_once_a_step_of_the_event_loop(capsys):
    handler, record = StepHandler(), logging.LogRecord("a", logging.INFO, "", 1, "line %d", (1,), None)
    written = []

    async def log() -> None:
        for _ in range(2):
            handler.emit(record)
        written.append(capsys.readouterr().err)
        await asyncio.sleep(0)

    asyncio.run(log())
    written.append(capsys.readouterr().err)
    handler.emit(record)
    assert [*written, capsys.readouterr().err] == ["", "line 1\nline 1\n", "line 1\n"]
