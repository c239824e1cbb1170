"""The model card of an experiment: ``results/<experiment>/README.md``, from its ``eval.json`` alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipestill.evaluation.formats import (
    MISSING,
    bracket,
    count,
    listing,
    megabytes,
    metric_title,
    number,
    plural,
    seconds,
)  # fmt: skip
from pipestill.methods import method_of


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _metrics(evaluation: Mapping[str, Any]) -> str:
    rows = [
        [metric_title(name), number(metric["mean"]), number(metric["sd"]), bracket(metric["ci95"])]
        for name, metric in evaluation["metrics"].items()
    ]
    return _table(["metric", "mean", "sd over seeds", "95 % interval"], rows)


def _classes(evaluation: Mapping[str, Any]) -> str:
    tables = [run["per_class"] for run in evaluation["runs"]]
    rows = []
    for label in tables[0]:
        means = [sum(table[label][key] for table in tables) / len(tables) for key in ("precision", "recall", "f1")]
        rows.append([label, *map(number, means), str(tables[0][label]["support"])])
    return _table(["label", "precision", "recall", "F1", "test examples"], rows)


def _costs(evaluation: Mapping[str, Any]) -> str:
    rows = []
    for stage, title in (("train", "training"), ("predict", "prediction")):
        values = evaluation["cost"][stage]
        if values:
            cells = [seconds(values["wall_s"]), seconds(values["cpu_s"]), megabytes(values["peak_memory_mb"])]
            rows.append([title, *cells])
    return _table(["per seed", "wall time", "processor time", "peak memory"], rows) if rows else "Not measured."


def _provenance(evaluation: Mapping[str, Any]) -> str:
    provenance = evaluation["provenance"]
    lines = [
        f"- code: commit `{provenance['git_commit'] or 'unknown'}`",
        f"- configuration: sha256 `{provenance['config_sha256']}`",
    ]
    for title, key in (("data", "data_sha256"), ("model", "model_sha256")):
        lines += [f"- {title}: `{path}`, sha256 `{digest}`" for path, digest in provenance[key].items()]
    lines.append("- versions: " + ", ".join(f"{name} {text}" for name, text in provenance["versions"].items()))
    return "\n".join(lines)


def _limits(evaluation: Mapping[str, Any]) -> list[str]:
    limits = []
    if evaluation["source"] == "synthetic":
        limits.append("Trained and tested on synthetic data: the numbers say nothing about real cases.")
    limits += evaluation["notes"]
    limits += [
        f"Seed {run['seed']} has collapsed: {run['collapsed']['share']:.0%} of its predictions are "
        f"“{run['collapsed']['label']}”."
        for run in evaluation["runs"]
        if run["collapsed"]
    ]
    limits.append("Its probabilities are relative to the listed labels; it cannot answer that none of them applies.")
    return limits


def model_card(evaluation: Mapping[str, Any]) -> str:
    """The card's Markdown from the content of ``eval.json``."""
    method, labels = method_of(evaluation["method"]), evaluation["runs"][0]["confusion"]["labels"]
    calibrations = listing(sorted({run["calibration"] for run in evaluation["runs"]}))
    parts = [
        f"# {evaluation['experiment']}",
        f"{method.title}: {method.summary} Task `{evaluation['task']}`, study `{evaluation['study']}`.",
        _table(
            ["", "value"],
            [
                ["base model", f"`{evaluation['student']}`"],
                ["teacher", f"`{evaluation['teacher']}`" if evaluation["teacher"] else MISSING],
                ["data", evaluation["source"]],
                ["training examples", str(evaluation["n_train"])],
                ["parameters", count(evaluation["cost"]["total_parameters"])],
                ["parameters trained", count(evaluation["cost"]["trainable_parameters"])],
                ["labels", ", ".join(labels)],
                ["calibration", calibrations],
            ],
        ),
        "## Use",
        f'```\npipestill predict {evaluation["experiment"]} --features "..." --seed {evaluation["seeds"][0]}\n```',
        "## Test results",
        f"{plural(evaluation['n_test'], 'test example')}, {plural(len(evaluation['seeds']), 'seed')}; the calibration "
        "was chosen on validation data. Intervals come from resampling test examples and seeds.",
        _metrics(evaluation),
        "By label, averaged over the seeds:",
        _classes(evaluation),
        "## Cost",
        _costs(evaluation),
        "## Limits",
        "\n".join(f"- {sentence}" for sentence in _limits(evaluation)),
        "## Provenance",
        _provenance(evaluation),
    ]
    return "\n\n".join(parts) + "\n"
