"""How long providers ask to wait, in all the ways in which they say it, and who waits."""

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.failures import Refused, by_status
from pipestill.annotation.gate import Gate
from pipestill.annotation.waits import wait_of
from pipestill.io.records import read_jsonl
from support.annotation import FAULTS, error, serve, settings, write_records

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "later", "x-ratelimit-reset": "12"}, 12),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"x-ratelimit-reset": str(int(NOW + 40))}, 40),
        ({"x-ratelimit-reset": str(int(1000 * (NOW + 40)))}, 40),
        ({"x-rate-limit-reset": "2027-01-15T08:01:00Z"}, 60),
        ({"x-rate-limit-reset": "2027-01-15T08:01:00"}, 60),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-reset-requests": "1h2m3.5s", "x-ratelimit-reset-tokens": "1s"}, 3723.5),
        (
            {
                "x-ratelimit-reset-requests": "1d",
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-tokens": "0",
            },
            2,
        ),
        ({"anthropic-ratelimit-requests-reset": "2027-01-15T08:00:09Z"}, 9),
        ({"x-ratelimit-limit": "20"}, None),
        ({}, None),
    ],
)
def test_headers_say_when(headers, wait):
    assert wait_of(headers, None, True, NOW) == (wait if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        (
            {
                "metadata": {
                    "headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(1000 * NOW + 60_000))}
                }
            },
            60,
        ),
        ({"metadata": {"headers": {"X-RateLimit-Reset": int(1000 * NOW + 60_000)}}}, 60),
        ({"metadata": {"headers": {"Retry-After": "8"}}}, 8),
        ({"metadata": {"retry_after_seconds": 4.5}}, 4.5),
        ({"retry_after": 3}, 3),
        ({"details": [{"@type": "RetryInfo", "retryDelay": "34s"}]}, 34),
        ({"details": 5, "metadata": "none"}, None),
        ("text", None),
        (None, None),
    ],
)
def test_bodies_say_when(body, wait):
    assert wait_of({}, body, True, NOW) == (wait if wait is None else pytest.approx(wait))


def test_resets_are_for_limits_alone():
    assert wait_of({"x-ratelimit-reset": "50"}, None, False, NOW) is None


@pytest.mark.parametrize(
    ("status", "said", "kind", "reason"),
    [
        (429, "Rate limit exceeded: free-models-per-day", "fatal", "quota"),
        (429, {"code": "insufficient_quota"}, "fatal", "quota"),
        (429, {"message": "Provider returned error", "metadata": {"raw": "limit: 50 requests/day"}}, "fatal", "quota"),
        (429, "Rate limit exceeded: free-models-per-min", "transient", "rate_limit"),
        (429, {"message": "per-day", "metadata": {"headers": {"Retry-After": "5"}}}, "transient", "rate_limit"),
        (403, "Your input was flagged", "permanent", "moderation"),
        (403, {"message": "violates the content policy"}, "permanent", "moderation"),
        (403, {"message": "no", "metadata": {"reasons": ["violence"]}}, "permanent", "moderation"),
        (400, {"code": "data_inspection_failed"}, "permanent", "moderation"),
        (403, "the key may not", "fatal", "key"),
        (401, "flagged", "fatal", "key"),
        (404, "anything", "fatal", "address"),
        (400, "x/y is not a valid model ID", "fatal", "address"),
        (400, {"code": "model_not_found"}, "fatal", "address"),
        (400, "The model `x` does not exist", "fatal", "address"),
        (400, "the prompt is too long", "permanent", "rejected"),
        (301, None, "fatal", "address"),
        (504, None, "transient", "server_error"),
        (529, None, "transient", "server_error"),
    ],
)
def test_what_a_status_means(status, said, kind, reason):
    failure = by_status(status, "", {}, said)
    assert (failure.kind, failure.reason) == (kind, reason)


@pytest.mark.parametrize(("status", "charged"), [(408, True), (504, True), (524, True), (429, False), (503, False)])
def test_what_a_gateway_gave_up_on_may_cost(status, charged):
    assert by_status(status, "", {}, None).charged is charged


@pytest.fixture
def waits(monkeypatch):
    """The waits of a run, which takes none of them."""
    noted = {"all": [], "one": []}
    monkeypatch.setattr(Gate, "pause", lambda self, seconds: noted["all"].append(seconds))
    monkeypatch.setattr(Gate, "rest", lambda self, seconds: noted["one"].append(seconds))
    return noted


def run(server, directory, texts, **changes):
    records = write_records(directory / "records.jsonl", texts)
    annotate(settings(server.url, directory, **changes), "task", records, None, directory / "out", directory / "usage")
    return read_jsonl(directory / "out")


def test_the_reset_of_a_minute_is_waited_for(tmp_path, monkeypatch, waits):
    monkeypatch.setattr("pipestill.annotation.failures.time.time", lambda: NOW)
    limited = error(429, metadata={"headers": {"X-RateLimit-Reset": str(int(1000 * NOW) + 55_000)}})
    monkeypatch.setitem(FAULTS, "limited", limited)
    with serve({"0": ["limited"]}) as server:
        assert len(run(server, tmp_path, ["0"])) == 1
    assert waits["all"] == [pytest.approx(55)]


def test_the_limit_of_a_day_ends_the_run_at_once(tmp_path, monkeypatch, waits):
    monkeypatch.setattr("pipestill.annotation.failures.time.time", lambda: NOW)
    limited = error(429, metadata={"headers": {"X-RateLimit-Reset": str(int(1000 * NOW) + 57_600_000)}})
    monkeypatch.setitem(FAULTS, "limited", limited)
    texts = [str(number) for number in range(9)]
    with serve({text: ["limited"] for text in texts}) as server, pytest.raises(Refused, match=r"57600 s, .*run again"):
        run(server, tmp_path, texts)
    assert len(server.bodies) == 1
    assert not waits["all"]


def test_a_limit_without_a_word_is_waited_for_longer_than_a_minute(tmp_path, waits):
    with serve({"0": ["rate_limit"] * 5}) as server:
        assert len(run(server, tmp_path, ["0"], first_wait_s=1.0)) == 1
    assert sum(waits["one"]) > 60


def test_all_wait_after_the_last_attempt_of_one_too(tmp_path, waits):
    with serve({"0": ["wait"] * 2}) as server, pytest.raises(Refused, match="1 of 1"):
        run(server, tmp_path, ["0"], max_attempts=2)
    assert waits["all"] == [0.3, 0.3]


def test_nothing_is_sent_between_a_refusal_and_the_pause_for_it(tmp_path, monkeypatch):
    """The pause begins while the call still holds its place, of which there is one."""
    held = []
    monkeypatch.setattr(Gate, "pause", lambda self, seconds: held.append(self.running))
    with serve({"0": ["wait"]}) as server:
        run(server, tmp_path, ["0", "1"], concurrency=1)
    assert held == [1]
