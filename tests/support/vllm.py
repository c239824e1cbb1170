"""A stand-in for the program ``vllm``: it serves the same HTTP on a unix socket, and writes what it was told to."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "0.33.0"
PROGRAM = """#!{python}
import json, os, sys, threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer

if sys.argv[1:] == ["--version"]:
    print("{version}")
    sys.exit()
script = json.load(open("{script}"))
lock, asked = threading.Lock(), []
option = dict(zip(sys.argv, sys.argv[1:]))
with open("{started}", "a") as file:
    file.write(json.dumps(dict(argv=sys.argv[1:], pid=os.getpid(), environment=dict(os.environ),
                               files=sorted(os.listdir(sys.argv[2])))) + "\\n")
print("loading", flush=True)
if script["fault"] == "does not start":
    print("CUDA out of memory", flush=True)
    sys.exit(3)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, body):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        root = "/another/model" if script["fault"] == "another model" else sys.argv[2]
        card = dict(id=option["--served-model-name"], object="model", created=1, owned_by="vllm", root=root)
        self.say(200, None if self.path == "/health" else dict(object="list", data=[card]))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            asked.append(body)
            with open("{asked}", "a") as file:
                file.write(json.dumps(body) + "\\n")
        if script["fault"] == "dies" and len(asked) > script["after"]:
            print("engine core died", flush=True)
            os._exit(7)
        if script["fault"] == "refuses":
            return self.say(400, dict(error=dict(message="the prompt is too long", code=400)))
        prompt = body["prompt"]
        tokens = script["answers"].get(" ".join(map(str, prompt)))
        if tokens is None:
            draw = (sum(prompt) + (body.get("seed") or 0)) % 1009
            tokens = [3 + (draw * 7 + place * 13) % 250 for place in range(3)] + body["stop_token_ids"][:1]
        tokens = tokens[: body["max_tokens"]]
        ended = bool(tokens) and tokens[-1] in body["stop_token_ids"]
        choice = dict(index=0, text="", finish_reason="stop" if ended else "length", token_ids=tokens)
        if script["fault"] == "no tokens":
            del choice["token_ids"]
        read = len(prompt) + (script["fault"] == "another tokenizer")
        usage = dict(prompt_tokens=read, completion_tokens=len(tokens), prompt_tokens_details=dict(cached_tokens=1))
        self.say(200, dict(id="1", object="text_completion", created=1, model="x", choices=[choice], usage=usage))

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads, request_queue_size = True, 512


Server(option["--uds"], Handler).serve_forever()
"""


@dataclass
class StandIn:
    """What the program does, and what it saw.

    Attributes:
        directory: of its files.
        answers: tokens by prompt, as words; others are made from prompt and seed.
        fault: what goes wrong.
        after: questions that are answered before it dies.
    """

    directory: Path
    answers: dict[str, list[int]] = field(default_factory=dict)
    fault: str | None = None
    after: int = 0

    def write(self):
        """Let the next start be as said."""
        said = {"answers": self.answers, "fault": self.fault, "after": self.after}
        (self.directory / "script.json").write_text(json.dumps(said))

    def install(self) -> str:
        """Write the program; its directory."""
        files = {name: self.directory / name for name in ("script", "started", "asked")}
        files["script"] = self.directory / "script.json"
        program = self.directory / "bin" / "vllm"
        program.parent.mkdir(parents=True)
        text = PROGRAM
        for name, value in {"python": sys.executable, "version": VERSION, **files}.items():
            text = text.replace(f"{{{name}}}", str(value))
        program.write_text(text)
        program.chmod(0o755)
        self.write()
        return str(program.parent)

    def started(self) -> list[dict]:
        """Its starts."""
        return self._lines("started")

    def asked(self) -> list[dict]:
        """Bodies of the questions to it."""
        return self._lines("asked")

    def _lines(self, name):
        path = self.directory / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def installed(directory: Path, monkeypatch) -> StandIn:
    """A stand-in that is first on PATH."""
    made = StandIn(directory)
    directory.mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{made.install()}{os.pathsep}{os.environ['PATH']}")
    return made
