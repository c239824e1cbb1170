"""Rows and captures of teacher distributions for tests, by the tiny models."""

import json
from contextlib import contextmanager
from pathlib import Path
from random import Random

import torch

from pipestill.models.kinds import Reading
from pipestill.models.rows import read_answers
from pipestill.settings.distributions import CaptureSettings
from pipestill.teacher.distributions.capture import ShardFiles, Sources, capture_shard
from pipestill.teacher.distributions.manifest import write_manifest
from pipestill.teacher.distributions.store import DistributionStore

WORDS = ("Good ", "Standard ", "Bad ", "Scientist ", "809.98, ")


def write_rows(path: Path, rows: int, seed: int, words: int = 9) -> Path:
    """Prompts and answers of unequal length."""
    draw = Random(seed)
    lines = []
    for number in range(rows):
        answer = "".join(draw.choice(WORDS) for _ in range(draw.randint(1, words)))
        prompt = f"Age: {draw.randint(18, 80)}.0 {'9' * draw.randint(1, 20)}"
        lines.append(json.dumps({"id": f"{path.stem}-{number}", "input": prompt, "output": answer}))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def settings(**changes) -> CaptureSettings:
    common = dict(temperature=2.0, max_length=200, adaptation="full", hardware={"device": "cpu"}, code="1")
    if "labels" in changes:
        common["read_labels"] = changes["labels"]
    return CaptureSettings.model_validate(common | {"codec": "topk", "k": 12} | changes)


def capture(directory: Path, data: list[Path], teacher: Path, student: Path, shards: int = 1, **changes) -> Path:
    """Capture all shards and write their manifest, whose path is returned."""
    for shard in range(shards):
        capture_one(directory, data, teacher, student, shard, shards, **changes)
    manifest = directory / "manifest.json"
    write_manifest([directory / f"shard_{shard}.json" for shard in range(shards)], manifest)
    return manifest


def capture_one(directory, data, teacher, student, shard=0, shards=1, **changes) -> None:
    name = directory / f"shard_{shard}"
    files = (f"{name}.safetensors.state", f"{name}.safetensors", f"{name}.json", f"{name}_cost.json")
    with torch_as_before():
        place = ShardFiles(shard, shards, *map(Path, files))
        capture_shard(settings(**changes), Sources(data, teacher, None, student), place, threads=1)


@contextmanager
def torch_as_before():
    """Jobs set torch up for themselves; other tests find it as it was."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def read_rows(store: DistributionStore, path: Path, tokenizer) -> list[dict]:
    """Rows as tokens, each with its key."""
    return [row | {"key": store.key(row)} for row in read_answers(path, store.encoder(tokenizer, Reading()))]
