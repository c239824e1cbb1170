"""Streams of chats: tokens a second and waiting times of `pipestill serve`, asked by OpenAI's client over the loopback.

Clients at a time against one after another, with the same questions. Without a results tree, one is made of the shipped
student in some seconds. The last line is JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from machine import processor
from openai import AsyncOpenAI

CLIENTS = (1, 8)
MODEL, MADE = "dolly_sft", "dolly_base"
SHIPPED = Path("resources/models/demo-student")
TOKENS = 64


def make_tree(results: Path) -> None:
    """A results tree with the untrained student's answers to some instructions."""
    from pipestill.inference.experiment import Runs, predict_experiment
    from pipestill.io.records import Record, write_jsonl
    from pipestill.settings.jobs import PredictionSettings
    from pipestill.tasks import TASKS

    task = TASKS["dolly"]
    prompt, found = task.prompts["answer"], []
    rows, _ = task.synthetic({"train": 1, **dict.fromkeys(task.layout.names, 16)}, 1)
    for name in task.layout.names:
        for row in rows[name]:
            example = task.parse(row)
            text = prompt.fill(example.inputs)
            found.append(Record(f"d{len(found)}", "test", example.inputs, example.target, ["-"], name, text))
    data = results / "data" / task.name / "cropped.jsonl"
    write_jsonl(data, found)
    asking = {"task": task.name, "prompt": prompt, "max_prompt_tokens": 192, "max_new_tokens": TOKENS}
    how = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "benchmark", "data": {"max_chars": 400}}
    settings = PredictionSettings.model_validate({"asking": asking, **how})
    runs, output = Runs(SHIPPED.resolve(), {0: None}), results / MADE / "predictions"
    predict_experiment(settings, runs, data, results / "state", output, 1)


def questions_of(results: Path) -> list[dict]:
    """Inputs of test rows."""
    from pipestill.io.records import read_jsonl

    rows = read_jsonl(results / "data/dolly/cropped.jsonl")
    return [row["inputs"] for row in rows if row["split"] == "test"]


async def ask(client: AsyncOpenAI, model: str, inputs: dict) -> tuple[int, float, float]:
    """Tokens of an answer, seconds to its first piece and to its end."""
    began, first = time.perf_counter(), 0.0
    stream = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": inputs["instruction"]}],
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"pipestill": {"input": inputs["input"]}} if inputs["input"] else {},
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content and not first:
            first = time.perf_counter() - began
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
    return tokens, first, time.perf_counter() - began


async def load(client: AsyncOpenAI, model: str, questions: list[dict], clients: int) -> dict[str, float]:
    """Ask all ``questions``, so many at a time."""
    waiting, found = list(questions), []

    async def one() -> None:
        while waiting:
            found.append(await ask(client, model, waiting.pop()))

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return {
        "rate": sum(tokens for tokens, *_ in found) / seconds,
        "first": 1000 * median(first for _, first, _ in found if first),
        "whole": 1000 * median(whole for *_, whole in found),
    }


async def measure(results: Path, model: str, rounds: int, count: int) -> dict[int, list[dict[str, float]]]:
    """Loads by number of clients."""
    command = [*("-m", "pipestill.cli", "serve", "--results", str(results), "--experiments", model, "--port", "0")]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: dict[int, list[dict[str, float]]] = {clients: [] for clients in CLIENTS}
    try:
        address = process.stdout.readline().split()[-1]
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=120)
        questions = questions_of(results)[:count]
        await ask(client, model, questions[0])
        for _ in range(rounds):
            for clients in CLIENTS:
                found[clients].append(await load(client, model, questions, clients))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    return found


def main() -> None:
    """Measure, and print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="results tree with the study dolly (default: one is made)")
    parser.add_argument("--model", help=f"to ask (default: {MODEL}, or the one that is made)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which medians are taken (default: 3)")
    parser.add_argument("--questions", type=int, default=64, help="of a round (default: 64)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        results = args.results or Path(made) / "results"
        if args.results is None:
            make_tree(results)
        model = args.model or (MODEL if args.results else MADE)
        found = asyncio.run(measure(results, model, args.rounds, args.questions))
    print(f"{processor()}, Python {platform.python_version()}, {model}, {args.rounds} rounds")
    print(f"{'clients':>8}{'tokens/s':>12}{'first piece ms':>16}{'answer ms':>12}")
    rates = {}
    for clients, rounds in found.items():
        rate, first, whole = (median(each[name] for each in rounds) for name in ("rate", "first", "whole"))
        rates[clients] = rate
        print(f"{clients:8}{rate:12.0f}{first:16.1f}{whole:12.1f}")
    most, one = rates[CLIENTS[-1]], rates[1]
    print(f"{CLIENTS[-1]} clients / one after another: {most / one:.2f}x tokens")
    ratios = {"tokens a second, 8 clients / one after another": round(most / one, 2)}
    print(json.dumps({"benchmark": "streams", "ratios": ratios, "machine": {"processor": processor(), "threads": 1}}))


if __name__ == "__main__":
    main()
