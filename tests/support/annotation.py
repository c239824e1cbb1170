"""A server on the loopback interface that answers chat completions, with the faults that it was told to play first."""

import json
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pipestill.io.records import Record, write_jsonl
from pipestill.settings.annotation import AnnotationConfig

ECHO = "<the key of the request>"  # in a fault: what the client sent in its Authorization header
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"
ASK = "Extract the key information from clinical text: {document}"
COST = 0.001


def error(status, message="no", headers=None, **body):
    return status, {"error": {"code": status, "message": message, **body}}, headers or {}


def completion(text, finish="stop", changes=None, **choice):
    body = {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served/model",
        "provider": "Some Company",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}, **choice}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "cost": COST},
    }
    return 200, body | (changes or {}), {}


FAULTS = {
    "rate_limit": error(429),
    "wait": error(429, headers={"Retry-After": "0.3"}),
    "wait_long": error(429, headers={"Retry-After": "90000"}),
    "unavailable": error(503, headers={"retry-after-ms": "50"}),
    "server_error": error(500),
    "conflict": error(409),
    "too_early": error(425),
    "slow_upstream": error(408),
    "gateway": (504, "<html>Gateway Time-out</html>", {"Content-Type": "text/html"}),
    "cloudflare": (524, "error code: 524", {"Content-Type": "text/plain"}),
    "credits": error(402),
    "credits_bound": error(402, headers={"Retry-After": "0.05"}),
    "bad_key": error(401, f"no user for Bearer {ECHO} or {KEY[:20]}"),
    "forbidden": error(403, f"the key {ECHO} may not"),
    "flagged": error(403, "Input was flagged by the provider"),
    "moderated": error(403, metadata={"reasons": ["violence"], "flagged_input": "..."}),
    "bad_request": error(400, f"not for {ECHO}"),
    "unprocessable": error(422),
    "too_large": error(413),
    "no_such_model": error(404, "No endpoints found for some/model."),
    "no_valid_model": error(400, "some/model is not a valid model ID"),
    "moved": error(307, headers={"Location": "http://127.0.0.1:9/v1/chat/completions"}),
    "daily": error(429, "Rate limit exceeded: free-models-per-day. Add 10 credits"),
    "wait_in_body": error(429, metadata={"headers": {"Retry-After": "0.05", "X-RateLimit-Limit": "20"}}),
    "hidden_rate_limit": (200, {"error": {"code": 429, "message": f"upstream, {ECHO}"}}, {}),
    "hidden_key": (200, {"error": {"code": 401, "message": "no"}}, {}),
    "hidden_text": (200, {"error": "it broke"}, {}),
    "no_choices": (200, {"id": "x", "choices": []}, {}),
    "broken_off": completion("half an ans", finish="error", error={"code": 502, "message": "upstream"}),
    "error_beside": completion("half an ans", changes={"error": {"code": 502, "message": "upstream"}}),
    "error_in_message": completion("", message={"role": "assistant", "content": "half an ans", "error": "upstream"}),
    "aborted": completion("half an ans", finish="abort"),
    "filtered": completion("", finish="content_filter"),
    "unsafe": completion("half an ans", finish="SAFETY"),
    "empty": completion(""),
    "null": completion(None),
    "cut": completion("it begins", finish="length"),
    "cut_in_thought": completion("", finish="length"),
    "cut_in_open_thought": completion("<think>I see that", finish="MAX_TOKENS"),
    "only_thoughts": completion("<think>I see that"),
    "refused": completion("", message={"role": "assistant", "content": None, "refusal": "I can't help."}),
    "tool": completion("", message={"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}),
    "picture": completion([{"type": "image_url", "image_url": {"url": "data:,"}}]),
    "no_message": completion("", message="findings"),
    "half_a_character": completion("findings \ud83d"),
    "null_choice": (200, {"id": "x", "choices": [None]}, {}),
    "choices_by_name": (200, {"id": "x", "choices": {"first": "findings"}}, {}),
    "no_object": (200, ["findings"], {}),
    "deep": (200, "[" * 100_000, {}),
    "no_number": (200, '{"choices": [{"message": {"content": "fine"}}], "usage": {"cost": NaN}}', {}),
    "no_usage": completion("fine", changes={"usage": None}),
    "odd_usage": completion(
        "fine", changes={"usage": {"prompt_tokens": "100", "completion_tokens": -10, "cost": -1.0}}
    ),
    "odd_names": completion("fine", finish=7, changes={"model": ["a"], "provider": {"name": "a"}, "id": 3}),
    "html": (200, "<html>busy</html>", {"Content-Type": "text/html"}),
    "bad_json": (200, '{"id": "x", "choi', {}),
    "slow": "slow",
    "dropped": "dropped",
}


class Server(ThreadingHTTPServer):
    """``faults`` maps the last word of a message to the names of faults that are played before the answer."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, faults=None, delay=0.0, answer=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = defaultdict(list, {text: list(names) for text, names in (faults or {}).items()})
        self.delay, self.answer = delay, answer or (lambda message: f"findings of {message.split()[-1]}")
        self.bodies, self.times, self.headers, self.answered = [], [], [], Counter()
        self.running, self.at_a_time = 0, []  # requests under way: now, and as each one came
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = body["messages"][-1]["content"]
        with server.lock:
            server.bodies.append(body)
            server.times.append(time.monotonic())
            server.headers.append(self.headers)
            server.running += 1
            server.at_a_time.append(server.running)
            names = server.faults[message.split()[-1]]
            reply = FAULTS[names.pop(0)] if names else completion(server.answer(message))
            server.answered[message] += reply[0] == 200
        time.sleep(server.delay)
        try:
            if reply == "slow":
                time.sleep(3)
            elif reply == "dropped":
                self.close_connection = True
            else:
                self.reply(*reply)
        finally:
            with server.lock:
                server.running -= 1

    def reply(self, status, body, headers):
        key = self.headers["Authorization"].removeprefix("Bearer ")
        content = (body if isinstance(body, str) else json.dumps(body)).replace(ECHO, key).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serve(*args, **options):
    """A running :class:`Server`."""
    server = Server(*args, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def settings(url, directory, **changes):
    """Settings for the server at ``url``, with the ledger in ``directory`` and waits that suit a test."""
    steps = [{"prompt": ASK, "out": "rationale", "max_tokens": 50}]
    values = {"provider": "endpoint", "base_url": url, "model": "some/model", "steps": steps}
    values |= {"first_wait_s": 0.01, "timeout_s": 20, "ledger": str(directory / "ledger"), "splits": ["train"]}
    return AnnotationConfig.model_validate(values | changes)


def write_records(path, texts, split="train"):
    write_jsonl(path, [Record(f"r{number}", split, {"document": text}, "", []) for number, text in enumerate(texts)])
    return path
