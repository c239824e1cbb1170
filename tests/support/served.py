"""A results tree of tiny models, and a server of it in a thread of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.io.records import Record, write_jsonl
from pipestill.serving.app import create_app
from pipestill.serving.protocol import protocol_of
from pipestill.serving.run import Server, listen_at
from pipestill.serving.settings import ServeSettings
from pipestill.settings.jobs import PredictionSettings
from support.asking import asking_about
from support.models import make_directory

LIMITS = {"max_prompt_tokens": 200, "max_new_tokens": 40}
LABEL = "Good"


def make_results(results: Path, **answers: dict) -> Path:
    """Results with an experiment ``<task>_sft`` of two runs for each task, with the options of its answers."""
    base = make_directory(results / "models/base", initializer_range=0.3)
    for task, options in answers.items():
        asking = asking_about(task, answers=options, **LIMITS)
        inputs = {name: f"Age: 23.0, {name}" for name in asking.prompt.template.gaps}
        label = [LABEL, "Standard", "Bad"] if task == "creditmix" else ["{}"]
        meta = {"entry_point": "f", "before": "", "setup": "", "tests": ["assert True"], "check": ""}
        records = [
            Record(f"r{number}", split, inputs, text, [text], meta=meta, prompt=asking.prompt.fill(inputs))
            for number, (split, text) in enumerate((split, text) for split in ("validation", "test") for text in label)
        ]
        write_jsonl(results / f"data/{task}/cropped.jsonl", records)
        settings = PredictionSettings(asking=asking, data={}, adaptation="full", hardware={"device": "cpu"}, code="1")
        runs = Runs(base, {1: None, 2: None})
        output, state = results / f"{task}_sft/predictions", results / "state" / task
        predict_experiment(settings, runs, results / f"data/{task}/cropped.jsonl", state, output, 1)
    return results


def server_of(results: Path, **settings: object) -> tuple[Server, socket.socket]:
    """A server of ``results``, and where it will listen."""
    told = ServeSettings(results=results, port=0, **settings)
    app, listening = create_app(told), listen_at(told.host, 0)
    config = uvicorn.Config(app, http=protocol_of(told), ws="none", log_config=None, access_log=False)
    return Server(config, app.state.serving), listening


def address_of(listening: socket.socket) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def served(results: Path, **settings: object) -> Iterator[tuple[str, Server]]:
    """The address of a server of ``results``, and the server."""
    server, listening = server_of(results, **settings)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield address_of(listening), server
    finally:
        server.should_exit = True
        thread.join()
