"""A believable tree of results for one study of generated text: base, SFT, KD, nine divergences and their teacher."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipestill.io.files import write_json, write_text
from pipestill.io.records import write_jsonl
from pipestill.job.versions import versions
from support.asked import write_asked
from support.reports import evaluate_arguments, model_directories, script, write_queries

#          skill (share of reference words kept), its sd over runs, KL to the teacher at the end, s of training
METHODS = {
    "base": (0.06, 0.0, 3.1, None),
    "sft": (0.44, 0.012, 0.62, 31.0),
    "kd": (0.45, 0.012, 0.55, 33.0),
    "fkl": (0.47, 0.012, 0.31, 61.0),
    "rkl": (0.46, 0.012, 0.36, 62.0),
    "jsd": (0.475, 0.012, 0.30, 63.0),
    "tvd": (0.43, 0.012, 0.47, 60.0),
    "sfkl": (0.48, 0.012, 0.28, 64.0),
    "srkl": (0.465, 0.012, 0.33, 64.0),
    "akl": (0.478, 0.012, 0.29, 71.0),
    "todi": (0.49, 0.012, 0.27, 65.0),
    "teacher": (0.60, 0.0, None, 140.0),
}
#            how much easier than others, words of an answer, references
TEST_SETS = {
    "dolly": (0.04, 9, 1),
    "selfinst": (0.0, 7, 1),
    "vicuna": (-0.05, 16, 1),
    "sinst": (0.06, 6, 3),
    "uinst": (0.0, 8, 1),
}
WORDS = [
    f"{a}{b}" for a in ("ba", "de", "fi", "go", "ku", "la", "mo", "ne", "pi", "ro") for b in ("n", "st", "l", "rk")
]
TEACHER_NLL = 1.02
STEPS = range(20, 201, 20)


def references(rng, per_set: int) -> list[dict]:
    """Test rows without answers: id, split, test set and references."""
    rows = []
    for name, (_, words, how_many) in TEST_SETS.items():
        for index in range(per_set):
            texts = [" ".join(rng.choice(WORDS, size=words + rng.integers(0, 4))) for _ in range(how_many)]
            rows.append({"id": f"dolly-{name}-{index:04}", "split": "test", "test_set": name, "references": texts})
    return rows


def answer(rng, row: dict, skill: float, hardness: float) -> str:
    """The first reference, of whose words a share of about ``skill`` is kept."""
    kept = 1 / (1 + np.exp(-(np.log(skill / (1 - skill)) + 4 * TEST_SETS[row["test_set"]][0] + hardness)))
    words = row["references"][0].split()
    return " ".join(word if rng.random() < kept else str(rng.choice(WORDS)) for word in words)


def write_run(
    directory: Path, method: str, rows: list[dict], hardness: np.ndarray, sampling: Sequence[int | None], rng
):
    """predictions.jsonl and agreement.json of one run."""
    skill, spread, kl, _ = METHODS[method]
    skill = max(0.02, skill + spread * rng.normal())
    write_jsonl(
        directory / "predictions.jsonl",
        [
            {**row, "sampling_seed": seed, "prediction": answer(rng, row, skill, hard + 0.2 * rng.normal())}
            for seed in sampling
            for row, hard in zip(rows, hardness, strict=True)
        ],
    )
    write_queries(directory, written=11.5)
    if kl is not None:
        measured = {
            "kl": kl * (1 + 0.03 * rng.normal()),
            "agreement": 0.87 - 0.25 * kl**0.5,
            "teacher_nll": TEACHER_NLL,
        }
        measured |= {"student_nll": TEACHER_NLL + 0.4 * kl**0.5 + 0.02 * rng.normal()}
        measured |= {"tokens": 4_812, "temperature": 1.0, "codec": "topk", "tail": "bucket"}
        write_json(directory / "agreement.json", measured)


def write_model(directory: Path, method: str, rng) -> None:
    """Training log, profile, checksums and cost of a trained model; divergences log their KL to the teacher."""
    *_, kl, seconds = METHODS[method]
    history = []
    for step in STEPS:
        fade = float(np.exp(-step / 45))
        history.append({"step": step, "epoch": step / 67, "loss": 1.4 + 2 * fade + 0.05 * rng.random()})
        evaluated = {"step": step, "epoch": step / 67, "eval_loss": 1.5 + 2 * fade}
        if kl is not None and method not in ("sft", "kd"):
            evaluated |= {"eval_kl": kl + 2.4 * fade + 0.02 * rng.random(), "eval_agreement": 0.7 - 0.4 * fade}
        history.append(evaluated)
    write_jsonl(directory / "history.jsonl", history)
    write_json(directory / "profile.json", {"trainable_parameters": 985_000, "total_parameters": 985_000})
    write_text(directory / "SHA256SUMS", f"{rng.integers(1e15):064x}  model.safetensors\n")
    cost = {"wall_s": seconds * 1.1, "cpu_s": seconds + rng.random(), "peak_memory_mb": 910.0, "gpu_memory_mb": None}
    write_json(directory.parent / "cost.json", {**cost, "tokens": 410_000})


def write_text_tree(
    root: Path,
    study: str = "dolly",
    per_set: int = 50,
    seeds: int = 2,
    sampling: Sequence[int | None] = (10,),
    methods: Sequence[str] = tuple(METHODS),
    seed: int = 3,
) -> dict[str, list[int]]:
    """Everything that evaluate reads of a study of text; returns the seeds of each method.

    Args:
        per_set: examples of each test set.
        seeds: runs of each trained student.
        sampling: sampling seeds of each run; ``(None,)`` for greedy answers.
        methods: which experiments there are.
        seed: what all is drawn from.
    """
    rng = np.random.default_rng(seed)
    rows = references(rng, per_set)
    hardness = 0.9 * rng.normal(size=len(rows))
    write_json(root / "models/demo-student/profile.json", {"trainable_parameters": 0, "total_parameters": 985_000})
    write_text(root / "models/demo-student/SHA256SUMS", "0" * 64 + "  model.safetensors\n")
    write_jsonl(root / f"data/{study}/train.jsonl", [{"id": str(number)} for number in range(800)])
    runs = {method: {"base": [0], "teacher": [1]}.get(method, list(range(1, seeds + 1))) for method in methods}
    for method, its_seeds in runs.items():
        predictions = root / f"{study}_{method}" / "predictions"
        for number in its_seeds:
            write_run(predictions / f"seed_{number}", method, rows, hardness, sampling, rng)
        cost = {"wall_s": 22.0, "cpu_s": 21.0, "peak_memory_mb": 705.0, "gpu_memory_mb": None, "tokens": None}
        write_json(predictions / "cost.json", cost)
        write_json(predictions / "versions.json", versions())
        write_json(predictions / "hardware.json", {"device": "cpu", "precision": "fp32", "threads": 1, "notes": []})
        for model in model_directories(root, study, method, its_seeds):
            write_model(model, method, rng)
    write_asked(root / "data/dolly/cropped.jsonl", root, f"{study}_*")
    return runs


FIDELITY = {
    "codec": "topk",
    "bytes_per_token": 163.4,
    "tokens": 260,
    "methods": {
        "fkl": {"tail": "bucket", "angle": 4.3, "norm_ratio": 1.0},
        "rkl": {"tail": "unigram", "angle": 16.0, "norm_ratio": 0.88},
        "todi": {"tail": "unigram", "angle": 24.1, "norm_ratio": 0.92},
    },
}


def evaluate_text(
    root: Path,
    study: str,
    method: str,
    seeds: Sequence[int],
    sampling: Sequence[int | None],
    test_sets: Sequence[str] = tuple(TEST_SETS),
) -> Path:
    """Run the evaluation of one experiment; returns its eval.json."""
    drawn = [seed for seed in sampling if seed is not None]
    generation = {"sampling": bool(drawn), "temperature": 1.0, "top_p": 1.0, "top_k": 0, "no_repeat_ngram_size": 0}
    described = {"task": "dolly", "test_sets": [*test_sets], "statistics": {"resamples": 4000, "seed": 0}}
    described["answers"] = {**generation, "sampling_seeds": drawn or [10]}
    script("evaluate", evaluate_arguments(root, study, method, seeds, **described))
    return root / f"{study}_{method}/eval.json"


def write_text_study(root: Path, study: str = "dolly", sampling: Sequence[int | None] = (10,), **options) -> list[Path]:
    """Tree and evaluations of a study (options as :func:`write_text_tree`); returns every eval.json."""
    runs = write_text_tree(root, study, sampling=sampling, **options)
    return [evaluate_text(root, study, method, seeds, sampling) for method, seeds in runs.items()]


def write_fidelity(root: Path, study: str = "dolly") -> Path:
    """fidelity.json of a study's cache."""
    path = root / f"teachers/{study}/fidelity.json"
    write_json(path, {"study": study, **FIDELITY})
    return path
