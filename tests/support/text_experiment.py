"""The predictions of an experiment that generates text."""

import json

import numpy as np

from pipestill.answers.text import score
from pipestill.io.files import write_json, write_text
from pipestill.io.records import write_jsonl
from pipestill.job.versions import versions
from pipestill.settings.evaluation import Experiment
from pipestill.tasks import TASKS
from support.asked import write_asked

SETS = {"dolly": 7, "vicuna": 3, "sinst": 12}
NAMES = ["dolly", "selfinst", "vicuna", "sinst", "uinst"]
WORDS = ["red", "green", "blue", "paints", "painted", "houses", "house", "the", "a", "running"]
AGREEMENT = {"teacher_nll": 1.0, "tokens": 90, "temperature": 1.0, "codec": "topk", "tail": "bucket"}


def write_run(directory, rng, sampling_seeds, skill):
    rows = []
    for sampling_seed in sampling_seeds:
        draw = np.random.default_rng(9)  # the same references for all
        for name in reversed(SETS):  # neither in the order of names nor in that of the task
            for number in range(SETS[name]):
                references = [" ".join(draw.choice(WORDS, 6)) for _ in range(3 if name == "sinst" else 1)]
                kept = [word if rng.random() < skill else "black" for word in references[-1].split()]
                answer = references[0] if number == 1 else " ".join(kept)
                row = {"id": f"{name}-{number}", "split": "test", "test_set": name, "sampling_seed": sampling_seed}
                rows.append({**row, "prediction": answer, "references": references})
    rows.append({**rows[0], "id": "left out", "split": "validation"})
    write_jsonl(directory / "predictions.jsonl", rows)


def write_experiment(root, seeds=(1, 2, 3), sampling_seeds=(10, 20), agreement=True):
    """What a prediction job leaves; returns the command line of evaluate."""
    rng, directory = np.random.default_rng(4), root / "dolly_todi/predictions"
    for seed in seeds:
        write_run(directory / f"seed_{seed}", rng, sampling_seeds, 0.4 + 0.05 * seed)
        if agreement:
            values = {"kl": 0.1 * seed, "agreement": 0.9 - 0.1 * seed, "student_nll": 1 + 0.1 * seed}
            write_json(directory / f"seed_{seed}/agreement.json", {**values, **AGREEMENT})
    cost = {"wall_s": 9.0, "cpu_s": 8.0, "peak_memory_mb": 700.0, "gpu_memory_mb": None, "tokens": 5_000}
    write_json(directory / "cost.json", cost)
    write_json(directory / "versions.json", versions())
    write_json(directory / "hardware.json", {"device": "cpu"})
    write_json(root / "base/profile.json", {"trainable_parameters": 0, "total_parameters": 985_000})
    write_text(root / "base/SHA256SUMS", "0" * 64 + "  model.safetensors\n")
    write_asked(root / "cropped.jsonl", root)
    generation = {"sampling": sampling_seeds != (None,), "temperature": 1.0, "top_p": 0.9, "top_k": 0}
    generation |= {"no_repeat_ngram_size": 6, "sampling_seeds": [10, 20], "max_new_tokens": None}
    described = {
        "experiment": "dolly_todi", "study": "dolly", "task": "dolly", "method": "todi", "method_title": "ToDi",
        "method_summary": "A divergence.", "student": "s", "teacher": "t", "source": "synthetic", "notes": ["Note."],
        "test_sets": NAMES, "config_sha256": "c0ffee", "statistics": {"resamples": 400, "seed": 0},
        "answers": generation,
    }  # fmt: skip
    out = root / "dolly_todi"
    options = {"experiment": json.dumps(described), "predictions": directory, "base": root / "base"}
    options |= {"data": root / "cropped.jsonl", "output": out / "eval.json", "scores": out / "scores.jsonl"}
    options |= {"card": out / "README.md"}
    return [str(part) for name, value in options.items() for part in (f"--{name}", value)]


def runs_of(predictions, test_sets=NAMES, task="dolly", **columns):
    """The runs of an experiment, from its predictions."""
    described = {"test_sets": list(test_sets), "splitter": "sentencex"}
    return score.runs(TASKS[task], Experiment.model_construct(**described), predictions, columns)


def measured(root, test_sets=NAMES, task="dolly"):
    """The runs of the evaluated experiment, from its scores."""
    return score.measured(TASKS[task], list(test_sets), root / "dolly_todi")
