"""What a teacher adds to a training step: cross-entropy alone against divergences, stored distributions and online.

On the shipped demo models: the student is trained on texts of 40 words with answers of 15; the teacher's 50 likeliest
tokens are stored at each token of an answer. Forward and backward passes and the loss, no optimizer.

    python benchmarks/divergence_step.py [--rows 96] [--rounds 5]
"""

import argparse
import json
import os
import random
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

MODELS = Path(__file__).parents[1] / "resources" / "models"
STUDENT, TEACHER = MODELS / "demo-student", MODELS / "demo-teacher"
KINDS = ("fkl", "rkl", "jsd", "todi", "akl")
WORDS = ("a", "model", "learns", "what", "another", "one", "finds", "likely", "at", "each", "token", "of", "answers")
MAX_LENGTH, TEMPERATURE = 256, 2.0
ALLOWED = 1.3  # of the cross-entropy's time, with stored distributions


def write_rows(path: Path, rows: int) -> Path:
    """Random words as prompts and answers."""
    draw = random.Random(0)
    texts = ([" ".join(draw.choices(WORDS, k=words)) for words in (40, 15)] for _ in range(rows))
    path.write_text("".join(json.dumps({"input": prompt, "output": answer}) + "\n" for prompt, answer in texts))
    return path


def store(data: Path, directory: Path) -> Path:
    """Manifest of the teacher's distributions at the answers of ``data``."""
    from pipestill.settings.distributions import CaptureSettings
    from pipestill.teacher.distributions.capture import ShardFiles, Sources, capture_shard
    from pipestill.teacher.distributions.manifest import write_manifest

    shape = {"codec": "topk", "k": 50, "temperature": TEMPERATURE, "max_length": MAX_LENGTH}
    settings = CaptureSettings.model_validate(shape | {"adaptation": "full", "hardware": {}, "code": ""})
    facts = directory / "shard_0.json"
    shard, state, cost = facts.with_suffix(".safetensors"), directory / "state", directory / "cost.json"
    place = ShardFiles(0, 1, state, shard, facts, cost)
    capture_shard(settings, Sources([data], TEACHER, None, STUDENT), place, 1)
    write_manifest([facts], directory / "manifest.json")
    return directory / "manifest.json"


def make_trainer(method: str, source: str, data: Path, manifest: Path, directory: Path):
    """The trainer of a training job."""
    from pipestill.job.halves import half
    from pipestill.methods import METHODS
    from pipestill.models.hardware import HardwarePlan
    from pipestill.settings.jobs import TrainingSettings
    from pipestill.settings.models import HardwareConfig
    from pipestill.settings.training import TrainingConfig
    from pipestill.training.files import Inputs
    from pipestill.training.job import Job
    from pipestill.training.run import load_start
    from pipestill.training.state import TrainingState

    objective = METHODS[method].objective
    training = TrainingConfig(adaptation="full", batch_size=8, max_length=MAX_LENGTH)
    options = {"teacher": source, "temperature": TEMPERATURE} if method in KINDS else {}
    settings = TrainingSettings(method=method, options=options, training=training, hardware=HardwareConfig())
    inputs = Inputs(data, data, STUDENT, teacher_base=TEACHER, distributions=manifest)
    state = TrainingState(directory / f"{method}_{source}", {})
    job = Job(settings, inputs, HardwarePlan("cpu"), 0, state, SimpleNamespace(tokens=0))
    train = half(objective, "train")
    return train.trainer(objective, job, load_start(job), train.read(objective, job))


def epoch(trainer) -> float:
    """CPU seconds of forward and backward passes over all rows."""
    trainer.current_gradient_accumulation_steps = 1
    start = time.process_time()
    for batch in trainer.get_train_dataloader():
        tokens = trainer._get_num_items_in_batch([batch], trainer.args.device)
        trainer.training_step(trainer.model, batch, tokens)
        trainer.model.zero_grad()
    return time.process_time() - start


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=96, help="training rows")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each way, taken in turn")
    args = parser.parse_args()
    import torch
    from machine import processor

    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        directory = Path(name)
        data = write_rows(directory / "rows.jsonl", args.rows)
        manifest = store(data, directory / "store")
        ways = {"cross-entropy": ("sft", "online")}
        ways |= {f"{kind} {source}": (kind, source) for kind in KINDS for source in ("cached", "online")}
        trainers = {way: make_trainer(*pair, data, manifest, directory) for way, pair in ways.items()}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(args.rounds):
            for way, trainer in trainers.items():
                seconds[way].append(epoch(trainer))
    medians = {way: statistics.median(measured) for way, measured in seconds.items()}
    # Against noise, a way is compared with the cross-entropy of its own round.
    shares = {
        way: round(statistics.median(a / b for a, b in zip(measured, seconds["cross-entropy"], strict=True)), 2)
        for way, measured in seconds.items()
    }
    print(f"{'way':<14} {'CPU s':>6} {'x cross-entropy':>16}")
    for way in ways:
        print(f"{way:<14} {medians[way]:>6.2f} {shares[way]:>16}")
    ratios = {kind: round(shares[f"{kind} online"] / shares[f"{kind} cached"], 2) for kind in KINDS}
    machine = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    print(json.dumps({"benchmark": "divergence_step", "ratios": ratios, "memory_mb": {}, "machine": machine}))
    slow = {way: share for way, share in shares.items() if "cached" in way and share > ALLOWED}
    if slow:
        raise SystemExit(f"slower than promised: {slow} times cross-entropy; promised {ALLOWED}")


if __name__ == "__main__":
    main()
