"""A believable tree of results, drawn from a seed: what predict and train leave for one classification study."""

import html
import json
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from pipestill.answers.labels.calibration import calibration_record, log_posterior
from pipestill.io.files import write_json, write_text
from pipestill.io.records import write_jsonl
from pipestill.job.versions import versions
from pipestill.methods import method_of
from pipestill.reporting.fidelity import Fidelity
from pipestill.reporting.findings import findings
from pipestill.reporting.html import templates
from pipestill.reporting.over_sft import over_sft_rows
from pipestill.reporting.rationales import rationales
from pipestill.reporting.study import Study
from pipestill.settings.evaluation import StatisticsConfig
from support.asked import write_asked

LABELS = ["Good", "Standard", "Bad"]
#           skill, sd of it over the runs, label mass, seconds of training
METHODS = {
    "base": (0.05, 0.0, 0.02, None),
    "sft": (2.6, 0.15, 0.99, 24.0),
    "kd": (2.4, 0.15, 0.99, 25.0),
    "dpo": (1.3, 0.3, 0.31, 55.0),
    "teacher": (4.5, 0.1, 1.0, 90.0),
}


def as_mapping(vector) -> dict[str, float]:
    """A vector over the labels as the files hold it."""
    return {label: float(value) for label, value in zip(LABELS, vector, strict=True)}


def prediction_rows(scores, prior, gold, n_validation, mass, parts=((None, None),)) -> list[dict]:
    """Rows of predictions.jsonl from raw ``scores`` [examples, labels]; the first ``n_validation`` are validation, the
    others are of ``parts`` (test set and subset) in turn."""
    rows = []
    for index, (raw, label, share) in enumerate(zip(scores, gold, mass, strict=True)):
        calibrated = raw - prior
        top = np.sort(calibrated)[::-1]
        test_set, subset = parts[index % len(parts)] if index >= n_validation else (None, None)
        rows.append(
            {
                "id": f"creditmix-{index:05}",
                "split": "validation" if index < n_validation else "test",
                "test_set": test_set,
                **({"subset": subset} if subset else {}),
                "prediction": LABELS[int(calibrated.argmax())],
                "references": [LABELS[label]],
                "raw_scores": as_mapping(raw),
                "prior": as_mapping(prior),
                "scores": as_mapping(calibrated),
                "probabilities": as_mapping(np.exp(log_posterior(calibrated[None])[0])),
                "top2_margin": float(top[0] - top[1]),
                "label_mass": float(share),
                "greedy": [LABELS[int(raw.argmax())]] if share > 0.5 else [],
            }
        )
    return rows


def write_predictions(
    directory: Path, method: str, rng, latent, gold, collapse: bool, parts=((None, None),), prompt: float = 212.5
) -> None:
    """predictions.jsonl and calibration.json of one run."""
    skill, spread, mass, _ = METHODS[method]
    skill = max(0.0, skill + spread * rng.normal())
    noisy = latent + 0.35 * rng.normal(size=len(latent))
    scores = -skill * (noisy[:, None] - [-1.1, 0.0, 1.1]) ** 2 / 2 + 0.4 * rng.normal(size=(len(gold), 3))
    half = len(gold) // 3
    if collapse:  # on test rows only, so that no calibration mends it
        scores[half:, 1] += 8
    nulls = {name: rng.normal(size=(3, 3)) for name in ("multi_null", "domain_conditional", "pmi")}
    calibration = calibration_record(LABELS, scores[:half], list(gold[:half]), nulls)
    prior = np.array([calibration["priors"][calibration["chosen"]][label] for label in LABELS])
    masses = np.clip(mass + 0.02 * rng.normal(size=len(gold)), 0, 1)
    write_jsonl(directory / "predictions.jsonl", prediction_rows(scores, prior, gold, half, masses, parts))
    write_json(directory / "calibration.json", calibration)
    write_queries(directory, prompt)


def write_model(directory: Path, rng) -> None:
    """Training log, profile and checksums of a trained model."""
    history, loss = [], 2.2
    for step in range(10, 230, 10):
        loss = loss * 0.9 + 0.03 * rng.random() + 0.01
        row = {"step": step, "epoch": step / 75}
        history.append({**row, "loss": loss, "learning_rate": 1e-3, "grad_norm": 1.0})
        if step % 70 == 0:
            history.append({**row, "eval_loss": loss + 0.1})
    write_jsonl(directory / "history.jsonl", history)
    write_json(directory / "profile.json", {"trainable_parameters": 131_072, "total_parameters": 1_180_000})
    write_text(directory / "SHA256SUMS", f"{rng.integers(1e15):064x}  model.safetensors\n")


def write_queries(directory: Path, prompt: float = 212.5, ms: float = 3.25, written: float = 0.0) -> None:
    """queries.json of a run, whose prompts share most of what is more than 200 tokens."""
    tokens = {"prompt_tokens": prompt, "read_tokens": min(prompt, 200.0), "written_tokens": written}
    write_json(directory / "queries.json", {"queries": 600, **tokens, "ms": ms, "cache_bytes": 2048 * prompt})


def write_cost(path: Path, seconds: float) -> None:
    """A job's cost.json."""
    cost = {"wall_s": seconds * 1.08, "cpu_s": seconds, "peak_memory_mb": 640.0 + seconds, "gpu_memory_mb": None}
    write_json(path, {**cost, "tokens": int(seconds * 8_000)})


def model_directories(root: Path, study: str, method: str, seeds: list[int]) -> list[Path]:
    """Where the models of an experiment's runs lie."""
    if method == "base":
        return []
    if method == "teacher":
        return [root / f"teachers/{study}/model"]
    return [root / f"{study}_{method}/seed_{seed}/model" for seed in seeds]


def evaluate_arguments(root: Path, study: str, method: str, seeds: list[int], **description) -> list[str]:
    """The command line of workflow_scripts/evaluate.py, as its rule writes it."""
    experiment = f"{study}_{method}"
    described = {
        "experiment": experiment,
        "study": study,
        "task": "creditmix",
        "method": method,
        "method_title": method_of(method).title,
        "method_summary": method_of(method).summary,
        "student": "demo-student",
        "teacher": "demo-teacher",
        "source": "synthetic",
        "notes": [],
        "statistics": {"resamples": 2000, "seed": 0},
        "config_sha256": "c0ffee" * 10 + "c0ff",
        **description,
    }
    models = model_directories(root, study, method, seeds)
    arguments = ["--experiment", json.dumps(described), "--predictions", str(root / experiment / "predictions")]
    data = [root / f"data/{described['task']}/cropped.jsonl"]
    if models:
        arguments += ["--models", *map(str, models), "--costs", *(str(model.parent / "cost.json") for model in models)]
        data.append(root / f"data/{study}/train.jsonl")
    arguments += ["--base", str(root / "models/demo-student"), "--data", *map(str, data)]
    return [
        *arguments,
        "--output",
        str(root / experiment / "eval.json"),
        "--scores",
        str(root / experiment / "scores.jsonl"),
        "--card",
        str(root / experiment / "README.md"),
    ]


def write_tree(
    root: Path,
    study: str = "creditmix",
    n_per_class: int = 300,
    seeds: int = 3,
    collapse: str | None = None,
    seed: int = 0,
    parts: Sequence[tuple[str | None, str | None]] = ((None, None),),
    prompts: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, list[int]]:
    """Everything that evaluate reads; returns the seeds of each method.

    Args:
        n_per_class: rows of each label; a third of all is validation, the rest test.
        seeds: runs of each trained student.
        collapse: a method whose last run answers with one label.
        seed: what all is drawn from.
        parts: test set and subset of the test rows, in turn.
        prompts: tokens of a prompt by method, where they are not those of others.
    """
    rng = np.random.default_rng(seed)
    gold = rng.permutation(np.repeat([0, 1, 2], n_per_class))
    latent = np.array([-1.2, 0.0, 1.2])[gold] + 0.45 * rng.normal(size=len(gold))
    write_text(root / "config.yaml", f"seeds: {list(range(1, seeds + 1))}\nrun: [{study}]\n")
    write_json(root / "models/demo-student/profile.json", {"trainable_parameters": 0, "total_parameters": 1_049_000})
    write_text(root / "models/demo-student/SHA256SUMS", "0" * 64 + "  model.safetensors\n")
    write_jsonl(root / f"data/{study}/train.jsonl", [{"id": str(number)} for number in range(600)])
    runs = {method: list(range(1, seeds + 1)) for method in METHODS} | {"base": [0], "teacher": [1]}
    for method, its_seeds in runs.items():
        predictions = root / f"{study}_{method}" / "predictions"
        for number in its_seeds:
            collapses = method == collapse and number == its_seeds[-1]
            prompt = prompts.get(method, 212.5)
            write_predictions(predictions / f"seed_{number}", method, rng, latent, gold, collapses, parts, prompt)
        write_cost(predictions / "cost.json", 6.0 * len(its_seeds))
        plan = {"device": "cpu", "precision": "fp32", "threads": 1, "offload_folder": None}
        write_json(predictions / "versions.json", versions())
        write_json(predictions / "hardware.json", {**plan, "notes": ["quantization: none, since there is no GPU"]})
        for model in model_directories(root, study, method, its_seeds):
            write_model(model, rng)
            write_cost(model.parent / "cost.json", METHODS[method][3] + rng.random())
    write_asked(root / "data/creditmix/cropped.jsonl", root, f"{study}_*")
    return runs


def script(name: str, arguments: list[str]) -> None:
    """Run a workflow script in this process."""
    path = str(Path(__file__).parents[2] / "workflow_scripts" / f"{name}.py")
    before, sys.argv = sys.argv, [path, *arguments]
    try:
        runpy.run_path(path)["main"]()
    finally:
        sys.argv = before


def bootstrap(resamples: int, seed: int = 0) -> StatisticsConfig:
    """Few resamples, which the configuration would refuse."""
    return StatisticsConfig.model_construct(resamples=resamples, seed=seed)


def write_study(root: Path, study: str = "creditmix", **options) -> list[Path]:
    """Tree and evaluations of a study (options as :func:`write_tree`); returns every eval.json."""
    runs = write_tree(root, study, **options)
    test_sets = [*dict.fromkeys(name for name, _ in options.get("parts", ()))]
    for method, seeds in runs.items():
        script("evaluate", evaluate_arguments(root, study, method, seeds, test_sets=test_sets))
    return [root / f"{study}_{method}/eval.json" for method in runs]


def write_report(root: Path, studies: dict[str, dict]) -> None:
    """Trees, evaluations and the report of several studies (name to options of :func:`write_tree`)."""
    evaluations = [str(path) for study, options in studies.items() for path in write_study(root, study, **options)]
    config = ["--config", str(root / "config.yaml"), "--output-dir", str(root / "report")]
    script("report", ["--evals", *evaluations, *config])


def said(template: str, study: Study, fidelity: Fidelity | None = None) -> str:
    """What a template of the report says of a study, in plain words."""
    found = findings(study, fidelity)
    view = {
        "study": study,
        "comparisons": found.pairs,
        "conclusion": found.conclusion,
        "warnings": found.warnings,
        "rationales": rationales(study),
        "over_sft": over_sft_rows(study, found.over_sft),
        "fidelity": fidelity,
        "figures": {},
    }
    return plain(templates().get_template(template).render(view=view))


def plain(markup: str) -> str:
    """Text of some HTML, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


if __name__ == "__main__":  # python tests/support/reports.py DIRECTORY: a report to look at
    write_report(Path(sys.argv[1]), {"creditmix": {"collapse": "dpo"}, "creditmix-single": {"seeds": 1, "seed": 7}})
