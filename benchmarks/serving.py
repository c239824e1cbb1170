"""Serving: requests a second and waiting times of `pipestill serve` against three simpler servers, over the loopback.

All rank the same labels with the same model, each in a process of its own with one thread; one works at a time, in
rounds that take turns. ``lock``: pipestill's ranking, one request at a time behind a lock; ``seed``: a forward pass for
each label, priors measured once; ``seed, no cache``: the same, with the null prompts of the priors scored again each
time. Processor milliseconds a request (cpu) tell them apart on a busy machine too. Without a results tree, one is made
of the shipped student in some seconds.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
from machine import processor

EXPERIMENT = "creditmix_sft"
MADE = "creditmix_base"
CLIENTS = (1, 8, 64)
RIVALS = ("lock", "seed", "seed, no cache")
OURS = "ours"
TARGETS = [("lock", 64, 3.0), ("seed", 64, 8.0)]
MOST_P50 = 1.1  # ours to the lock's, at one client
SHIPPED = Path("resources/models/demo-student")


def make_tree(results: Path) -> None:
    """A results tree with the untrained student's predictions of some rows."""
    from pipestill.inference.experiment import Runs, predict_experiment
    from pipestill.io.records import Record, write_jsonl
    from pipestill.settings.jobs import PredictionSettings
    from pipestill.tasks import TASKS

    task = TASKS["creditmix"]
    rows, _ = task.synthetic(240, 1)
    prompt = task.prompts["answer"]
    found = []
    for number, row in enumerate(rows):
        example = task.parse(row)
        split = ("validation", "test")[number % 2]
        text = prompt.fill(example.inputs)
        found.append(Record(f"c{number}", split, example.inputs, example.target, [example.target], prompt=text))
    data = results / "data" / task.name / "cropped.jsonl"
    write_jsonl(data, found)
    asking = {"task": task.name, "prompt": prompt, "max_prompt_tokens": 248, "max_new_tokens": 8}
    how = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "benchmark", "data": {"max_chars": 400}}
    settings = PredictionSettings.model_validate({"asking": asking, **how})
    runs, output = Runs(SHIPPED.resolve(), {0: None}), results / MADE / "predictions"
    predict_experiment(settings, runs, data, results / "state", output, 1)


def prompts_of(results: Path) -> list[bytes]:
    """Bodies of requests: test rows."""
    lines = (results / "data/creditmix/cropped.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "test"]
    return [json.dumps(row["inputs"]).encode() for row in rows]


def rival(name: str, results: Path, experiment: str, port: int) -> None:
    """Serve as simpler servers do."""
    import torch
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    from pipestill.inference.by_hand import load_target
    from pipestill.inference.rankers import rank_all
    from pipestill.inference.target import find_target
    from pipestill.models.prompts import encode_label, encode_prompt

    target = find_target(experiment, results, "creditmix")
    task, loaded, asking = target.task, load_target(target, 1), target.asking({})
    labels = {label: encode_label(loaded.tokenizer, label) for label in task.answers.labels}
    lock, app = threading.Lock(), FastAPI()

    def rank(text: str) -> dict[str, float]:
        prompt = encode_prompt(loaded.tokenizer, asking.prompt.fill({"features": text}), asking.max_prompt_tokens)
        return dict(zip(labels, rank_all(loaded, [prompt], labels).mean_log_prob[0].tolist(), strict=True))

    @torch.inference_mode()
    def score(text: str) -> dict[str, float]:
        prompt = encode_prompt(loaded.tokenizer, asking.prompt.fill({"features": text}), asking.max_prompt_tokens)
        found = {}
        for label, ids in labels.items():
            tokens = torch.tensor([prompt + ids])
            targets = tokens.clone()
            targets[:, : len(prompt)] = -100
            found[label] = -loaded.model(input_ids=tokens, labels=targets, use_cache=False).loss.item()
        return found

    def measure() -> dict[str, float]:
        found = [score(text or " ") for text in task.answers.null_inputs]
        return {label: sum(each[label] for each in found) / len(found) for label in labels}

    def reply(raw: dict[str, float], prior: dict[str, float]) -> dict:
        scores = {label: raw[label] - prior[label] for label in raw}
        values = torch.tensor(list(scores.values()))
        ranked = values.sort(descending=True).values
        return {
            "model_name": experiment,
            "prediction": max(scores, key=scores.get),
            "scores": scores,
            "raw_scores": raw,
            "prior": prior,
            "probabilities": dict(zip(scores, values.softmax(0).tolist(), strict=True)),
            "top2_margin": float(ranked[0] - ranked[1]),
        }

    kept = measure()

    class Body(BaseModel):
        features: str

    @app.post("/infer")
    def infer(body: Body) -> dict:
        with lock:
            if name == "lock":
                return reply(rank(body.features), kept)
            return reply(score(body.features), kept if name == "seed" else measure())

    uvicorn.run(app, port=port, log_level="error", access_log=False)


def free_port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(name: str, results: Path, experiment: str) -> tuple[subprocess.Popen, int]:
    """The process and the port of a server."""
    port = free_port()
    if name == OURS:
        command = [*("-m", "pipestill.cli", "serve", "--results", results, "--experiments", experiment), "--port", port]
    else:
        command = [__file__, "--rival", name, "--port", port, "--results", results, "--experiment", experiment]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, *map(str, command)], **output)
    return process, port


def request(method: str, path: str, body: bytes = b"", length: int | None = None) -> bytes:
    """A request as bytes.

    Args:
        length: that it declares; none: that of its body.
    """
    size = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {size}\r\n\r\n".encode() + body


async def ask(port: int, path: str, body: bytes, streams=None):
    """Send a request; returns the streams, the status and the body of the answer."""
    reader, writer = streams or await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("POST", path, body))
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return (reader, writer), int(answer[9:12]), await reader.readexactly(length)


async def until_ready(port: int, path: str, body: bytes) -> dict:
    """The first answer of a server that is starting."""
    for _ in range(600):
        try:
            streams, status, answer = await ask(port, path, body)
            streams[1].close()
            if status == 200:
                return json.loads(answer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError(f"the server at {port} does not answer")


async def load(port: int, path: str, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    """Waiting times in seconds of the requests that ``clients`` send, each one after the other."""
    found: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        streams = None
        while time.perf_counter() < end:
            began = time.perf_counter()
            streams, status, _ = await ask(port, path, bodies[(number + len(found)) % len(bodies)], streams)
            assert status == 200, status
            found.append(time.perf_counter() - began)
        if streams:
            streams[1].close()

    await asyncio.gather(*(client(number * 7) for number in range(clients)))
    return found


def cpu_seconds(process: subprocess.Popen) -> float:
    """Processor time that a process has taken."""
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


async def measure(results: Path, experiment: str, rounds: int, seconds: float, names: tuple[str, ...]) -> dict:
    """Rates and waiting times by server and number of clients."""
    bodies = prompts_of(results)
    servers = {name: start(name, results, experiment) for name in names}
    paths = {name: f"/infer/{experiment}" if name == OURS else "/infer" for name in names}
    measured: dict = {name: {clients: {"rate": [], "times": [], "cpu": []} for clients in CLIENTS} for name in names}
    try:
        said = {name: await until_ready(port, paths[name], bodies[0]) for name, (_, port) in servers.items()}
        if "lock" in said and OURS in said:
            for label, value in said[OURS]["raw_scores"].items():
                assert abs(value - said["lock"]["raw_scores"][label]) < 1e-4, "the servers disagree"
        for _ in range(rounds):
            for clients in CLIENTS:
                for name, (process, port) in servers.items():
                    await load(port, paths[name], bodies, clients, 0.3)
                    began, worked = time.perf_counter(), cpu_seconds(process)
                    times = await load(port, paths[name], bodies, clients, seconds)
                    found = measured[name][clients]
                    found["rate"].append(len(times) / (time.perf_counter() - began))
                    found["cpu"].append((cpu_seconds(process) - worked) / len(times))
                    found["times"] += times
    finally:
        for process, _ in servers.values():
            process.send_signal(signal.SIGTERM)
        for process, _ in servers.values():
            process.wait(20)
    return measured


def main() -> None:
    """Measure, and print a table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="results tree (default: one is made)")
    parser.add_argument("--experiment", help=f"to ask (default: {EXPERIMENT}, or the one that is made)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which rates are medians (default: 3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load in a round (default: 2)")
    parser.add_argument("--only", nargs="+", choices=(OURS, *RIVALS), default=(OURS, *RIVALS), help="servers")
    parser.add_argument("--rival", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rival:
        rival(args.rival, args.results, args.experiment, args.port)
        return
    with tempfile.TemporaryDirectory() as made:
        results = args.results or Path(made) / "results"
        if args.results is None:
            make_tree(results)
        experiment = args.experiment or (EXPERIMENT if args.results else MADE)
        measured = asyncio.run(measure(results, experiment, args.rounds, args.seconds, tuple(args.only)))
    print(
        f"{processor()}, Python {platform.python_version()}, {experiment}, {args.rounds} rounds of {args.seconds:g} s"
    )
    print(f"{'server':16}" + "".join(f"{f'{clients} clients':>32}" for clients in CLIENTS))
    print(f"{'':16}" + f"{'req/s     p50     p99 ms  cpu':>32}" * len(CLIENTS))
    for name, by_clients in measured.items():
        cells = ""
        for found in by_clients.values():
            p99 = quantiles(found["times"], n=100)[98]
            cells += f"{median(found['rate']):12.0f} {1000 * median(found['times']):7.1f} {1000 * p99:7.1f}"
            cells += f" {1000 * median(found['cpu']):4.1f}"
        print(f"{name:16}{cells}")
    if OURS in measured and len(measured) > 1:
        ratios(measured)


def ratios(measured: dict) -> None:
    """Print how ours does beside each other one."""
    for name in [name for name in measured if name != OURS]:
        for clients in CLIENTS:
            own, other = (measured[each][clients] for each in (OURS, name))
            rate = median(own["rate"]) / median(other["rate"])
            wait = median(own["times"]) / median(other["times"])
            cost = median(other["cpu"]) / median(own["cpu"])
            print(
                f"ours / {name} at {clients} clients: {rate:.2f}x requests, {wait:.2f}x p50; "
                f"{cost:.2f}x requests a second of processor time"
            )
    for name, clients, least in TARGETS:
        if name in measured:
            rate = median(measured[OURS][clients]["rate"]) / median(measured[name][clients]["rate"])
            print(
                f"target {least:g}x {name} at {clients} clients: {'met' if rate >= least else 'MISSED'} ({rate:.2f}x)"
            )
    if "lock" in measured:
        wait = median(measured[OURS][1]["times"]) / median(measured["lock"][1]["times"])
        print(f"target {MOST_P50:g}x p50 of lock at 1 client: {'met' if wait <= MOST_P50 else 'MISSED'} ({wait:.2f}x)")


if __name__ == "__main__":
    main()
