"""Serving under load: good, wrong, long, slow and cut off requests to two servers of one tree, of which one is told to
end in the middle.

Every answer is checked: good requests have that of a first round, wrong ones their status. Nothing may be lost, nothing
may be a fault of the server, and its memory must not grow.
"""

import argparse
import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from serving import MADE, free_port, make_tree, request

CLIENTS = 32
GROWTH = 16 * 2**20  # bytes that memory may grow by in the last third, when caches of the libraries are full
SLOW_SECONDS = 20  # in which a server must give up a request that does not arrive
DEADLINE = 120  # seconds for one answer
SHARES = {  # of requests, by kind
    **{"good": 70, "bad": 12, "get": 4, "oversize": 2, "cut off": 8, "half": 4, "slow": 0.3},
}
WRONG = [  # bodies, and their status
    (b"{", 400),
    (b"[]", 422),
    (b"{}", 422),
    (b'{"features": NaN}', 400),
    (b'{"features": "\\ud800"}', 422),
    (b'{"nothing": "a"}', 422),
    (b'{"features": "a", "features": "b"}', 400),
    (b"[" * 50_000, 400),
]


@dataclass
class Server:
    """A server in a process of its own."""

    port: int
    process: subprocess.Popen
    log: Path
    counts: Counter = field(default_factory=Counter)

    @classmethod
    def start(cls, results: Path, log: Path) -> "Server":
        """Start one."""
        port = free_port()
        command = [sys.executable, "-m", "pipestill.cli", "serve", "--results", results, "--port", port]
        with open(log, "wb") as file:
            process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=file)
        return cls(port, process, log)

    @property
    def memory(self) -> int:
        """Bytes of its process."""
        return psutil.Process(self.process.pid).memory_info().rss

    def answered(self) -> int:
        """Answers that it says that it has given."""
        return len(re.findall(r"POST /infer/\{experiment\} \S+ 200,", self.log.read_text()))


async def read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


async def once(port: int, content: bytes, wait: bool = True) -> tuple[int, bytes] | None:
    """Send ``content`` on a connection of its own; the answer, if it is waited for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(content)
        await writer.drain()
        return await asyncio.wait_for(read(reader), DEADLINE) if wait else None
    finally:
        writer.close()


async def until_ready(port: int) -> None:
    """Wait for a server to be ready."""
    for _ in range(600):
        try:
            if (await once(port, request("GET", "/ready")))[0] == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError("the server is not ready")


def questions_of(results: Path) -> list[tuple[str, bytes]]:
    """Paths and bodies of good requests: test rows, to each experiment of a task."""
    found = []
    for directory in sorted(results.glob("*/predictions")):
        name = directory.parent.name
        job = json.loads((directory / "job.json").read_text())
        task = job["settings"]["asking"]["task"] if "runs" in job else None  # none: no model answers
        data = results / f"data/{task}/cropped.jsonl"
        if data.is_file() and task in ("creditmix", "dolly"):
            rows = [row for row in map(json.loads, data.read_text().splitlines()) if row["split"] == "test"][:20]
            limit = {"max_new_tokens": 8, "sampling": False} if task == "dolly" else {}
            found += [(f"/infer/{name}", json.dumps({**row["inputs"], **limit}).encode()) for row in rows]
    return found


def same(one: bytes, other: bytes) -> bool:
    """Whether two answers are the same but for rounding."""
    a, b = json.loads(one), json.loads(other)
    if a["prediction"] != b["prediction"]:
        return False
    return all(abs(value - b["scores"][label]) < 1e-4 for label, value in a.get("scores", {}).items())


async def one(server: Server, kind: str, draw: random.Random, expected: dict) -> None:
    """One request of a kind; raises where its answer is wrong."""
    path, body = draw.choice(list(expected))
    port, status = server.port, 200
    if kind == "good":
        content = request("POST", path, body)
    elif kind == "bad":
        wrong, status = draw.choice(WRONG)
        content = request("POST", path, wrong)
        if draw.random() < 0.2:
            content, status = request("POST", "/infer/nothing", body), 404
    elif kind == "get":
        content = request("GET", draw.choice(["/health", "/ready", "/metrics", "/studies", "/v1/models"]))
    elif kind == "oversize":
        content, status = request("POST", path, b" " * 70_000, 2**30), 413
    elif kind == "cut off":
        await once(port, request("POST", path, body), wait=False)
        server.counts[kind] += 1
        return
    elif kind == "half":
        content = request("POST", path, body)
        await once(port, content[: draw.randrange(1, len(content))], wait=False)
        server.counts[kind] += 1
        return
    else:
        content, status = request("POST", path, body)[: draw.choice([0, 20])], 408
    found, answer = await once(port, content)
    assert found == status, f"{kind}: {found}, not {status}: {answer[:200]!r}"
    assert kind != "good" or same(answer, expected[path, body]), (
        f"{path} {body!r}: {answer!r}, not {expected[path, body]!r}"
    )
    server.counts[f"{kind} {found}"] += 1


async def mixed(servers: list[Server], expected: dict, requests: int) -> None:
    """Send ``requests`` requests to all servers in turn."""
    draw = random.Random(0)
    kinds = draw.choices(list(SHARES), list(SHARES.values()), k=requests)
    slow = [kind for kind in kinds if kind == "slow"]
    others = iter([(number, kind) for number, kind in enumerate(kinds) if kind != "slow"])
    patient = [
        asyncio.ensure_future(asyncio.wait_for(one(servers[n % len(servers)], kind, draw, expected), SLOW_SECONDS))
        for n, kind in enumerate(slow)
    ]
    memory: list[list[int]] = []

    async def client() -> None:
        for number, kind in others:
            if number % max(1, requests // 10) == 0:
                memory.append([server.memory for server in servers])
            await one(servers[number % len(servers)], kind, draw, expected)

    await asyncio.gather(*(client() for _ in range(CLIENTS)), *patient)
    memory.append([server.memory for server in servers])
    for number, server in enumerate(servers):
        steps = [each[number] for each in memory]
        print(f"server {number + 1}: {dict(sorted(server.counts.items()))}")
        print(f"  memory, MB: {' '.join(str(step // 2**20) for step in steps)}")
        assert requests < 5000 or steps[-1] - steps[len(steps) * 2 // 3] < GROWTH, "memory grows"


async def ended(server: Server, other: Server, expected: dict, requests: int) -> None:
    """Tell a server to end while it is asked; what it has accepted must be answered."""
    before, draw, counts = server.answered(), random.Random(1), Counter()
    pairs, left = list(expected), iter(range(requests))

    async def client() -> None:
        for number in left:
            if number == requests // 2:
                server.process.send_signal(signal.SIGTERM)
            path, body = draw.choice(pairs)
            try:
                found, answer = await once(server.port, request("POST", path, body))
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                assert not getattr(error, "partial", b""), "an answer was cut off"
                counts["not there" if isinstance(error, ConnectionRefusedError) else "cut off"] += 1
                found, answer = await once(other.port, request("POST", path, body))
                assert found == 200
                continue
            counts[found] += 1
            assert found == 503 or same(answer, expected[path, body])

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    code = await asyncio.to_thread(server.process.wait, 60)
    said = server.answered() - before
    print(f"told to end: {dict(counts)}; it says that it has answered {said}, exit code {code}")
    assert said == counts[200] and code == 0, "an accepted request was lost"


async def run(results: Path, requests: int, logs: Path) -> None:
    """All of it."""
    servers = [Server.start(results, logs / f"server_{number}.log") for number in (1, 2)]
    try:
        for server in servers:
            await until_ready(server.port)
        expected = {}
        for path, body in questions_of(results):
            status, answer = await once(servers[0].port, request("POST", path, body))
            assert status == 200, answer
            expected[path, body] = answer
        began = time.perf_counter()
        await mixed(servers, expected, requests)
        print(f"{requests} requests in {time.perf_counter() - began:.0f} s")
        for server in servers:
            faults = re.findall(r".* 5\d\d, .*", server.log.read_text())
            assert not [line for line in faults if "/ready" not in line], faults[:3]
            assert "Traceback" not in server.log.read_text()
        await ended(servers[0], servers[1], expected, max(200, requests // 10))
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.process.terminate()
                server.process.wait(60)
    assert servers[1].process.returncode == 0


def main() -> None:
    """Send the requests, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help=f"results tree (default: one with {MADE} is made)")
    parser.add_argument("--requests", type=int, default=10_000, help="requests (default: 10000)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        results = args.results or Path(made) / "results"
        if args.results is None:
            make_tree(results)
        asyncio.run(run(results, args.requests, Path(made)))


if __name__ == "__main__":
    main()
