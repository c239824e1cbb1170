"""The model card of an experiment: ``results/<experiment>/README.md``, from its ``eval.json`` alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipestill.evaluation.formats import (
    MISSING,
    bracket,
    count,
    decimals,
    dollars,
    listing,
    megabytes,
    metric_title,
    number,
    plural,
    seconds,
)  # fmt: skip

SUMMARISED = "BLEU and chrF are of all answers together, the other metrics"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _metrics(evaluation: Mapping[str, Any]) -> str:
    spreads = {"sd": "sd over seeds"}
    if evaluation["kind"] == "text":
        spreads |= {"training_sd": "sd of training", "sampling_sd": "sd of sampling"}
    rows = []
    for name, metric in evaluation["metrics"].items():
        digits = decimals(name)
        cells = [number(metric["mean"], digits), bracket(metric["ci95"], digits)]
        rows.append([metric_title(name), *cells, *(number(metric[key], digits) for key in spreads)])
    return _table(["metric", "mean", "95 % interval", *spreads.values()], rows)


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
    annotation = evaluation["cost"]["annotation"]
    table = _table(["per seed", "wall time", "processor time", "peak memory"], rows) if rows else "Not measured."
    return f"{table}\n\n{_annotation(annotation)}" if annotation else table


def _annotation(annotation: Mapping[str, Any]) -> str:
    calls, tokens, training = annotation["calls"], annotation["tokens"], annotation["training"]
    trained = f"; training it took {seconds(training['cpu_s'])} of processor time" if training else ""
    return (
        f"Rationales by `{annotation['model']}` (provider `{annotation['provider']}`), once for all seeds: "
        f"{plural(calls['total'], 'call')}, {tokens['input']:,} tokens in and {tokens['output']:,} out, "
        f"{dollars(annotation['dollars'])}{trained}."
    )


def _signatures(signatures: Mapping[str, Any]) -> list[str]:
    if not signatures:
        return []
    lines = [f"- {name}: `{text if isinstance(text, str) else json.dumps(text)}`" for name, text in signatures.items()]
    return ["Signatures:", "\n".join(lines)]


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


def _closeness(agreement: Mapping[str, Any]) -> str:
    means = {name: number(agreement[name]["mean"]) for name in ("kl", "agreement", "teacher_nll", "student_nll")}
    bucket = ", all tokens that are not stored counting as one" if agreement["tail"] else ""
    return (
        f"On {agreement['tokens']:,} tokens of validation answers: KL from the teacher {means['kl']} nats per token at "
        f"temperature {agreement['temperature']:g}{bucket}, the same likeliest token at {means['agreement']} of all, "
        f"NLL {means['student_nll']} (the teacher's {means['teacher_nll']})."
    )


def _decoding(generation: Mapping[str, Any]) -> str:
    limits = []
    if generation["sampling"]:
        seeds = generation["sampling_seeds"]
        limits = [f"sampled at temperature {generation['temperature']:g}", plural(len(seeds), "sampling seed")]
        limits += [f"top p {generation['top_p']:g}"] if generation["top_p"] < 1 else []
        limits += [f"top k {generation['top_k']}"] if generation["top_k"] else []
    size = generation["no_repeat_ngram_size"]
    return ", ".join([*(limits or ["greedy"]), *([f"no {size} tokens twice"] if size else [])])


def _limits(evaluation: Mapping[str, Any]) -> list[str]:
    limits = []
    if evaluation["source"] == "synthetic":
        limits.append("Trained and tested on synthetic data: the numbers say nothing about real cases.")
    limits += evaluation["notes"]
    if evaluation["kind"] == "text":
        return [*limits, "ROUGE-L measures words in common with a reference, not whether an answer is right."]
    limits += [
        f"Seed {run['seed']} has collapsed: {run['collapsed']['share']:.0%} of its predictions are "
        f"“{run['collapsed']['label']}”."
        for run in evaluation["runs"]
        if run["collapsed"]
    ]
    return [*limits, "Its probabilities are relative to the listed labels; it cannot answer that none of them applies."]


def _of_labels(evaluation: Mapping[str, Any]) -> tuple[list[list[str]], str, list[str]]:
    """Rows of the first table, the option that asks, and what is said of the test results."""
    calibrations = listing(sorted({run["calibration"] for run in evaluation["runs"]}))
    rows = [["labels", ", ".join(evaluation["runs"][0]["confusion"]["labels"])], ["calibration", calibrations]]
    results = [
        f"{plural(evaluation['n_test'], 'test example')}, {plural(len(evaluation['seeds']), 'seed')}; the calibration "
        "was chosen on validation data. Intervals come from resampling test examples and seeds.",
        _metrics(evaluation),
        "By label, averaged over the seeds:",
        _classes(evaluation),
    ]
    return rows, "--features", results


def _of_text(evaluation: Mapping[str, Any]) -> tuple[list[list[str]], str, list[str]]:
    """As :func:`_of_labels`, for a task that generates text."""
    sets = ", ".join(f"{name} ({n})" for name, n in evaluation["test_sets"].items())
    n = evaluation["sentences"]
    how = f"{plural(n, 'sentence')} of the document" if n else _decoding(evaluation["generation"])
    rows = [["answers", how], ["test sets", sets]]
    results = [
        f"{plural(evaluation['n_test'], 'test example')}, {plural(len(evaluation['seeds']), 'seed')}. "
        f"{SUMMARISED if evaluation['signatures'] else 'ROUGE-L and exact match'} are unweighted means over the test "
        "sets. Intervals come from resampling the examples of each test set and the seeds.",
        _metrics(evaluation),
        *_signatures(evaluation["signatures"]),
    ]
    agreement = evaluation["agreement"]
    return (
        rows,
        "--instruction",
        [*results, *(["## Nearness to the teacher", _closeness(agreement)] if agreement else [])],
    )


def model_card(evaluation: Mapping[str, Any]) -> str:
    """The card's Markdown from the content of ``eval.json``."""
    rows, option, results = (_of_text if evaluation["kind"] == "text" else _of_labels)(evaluation)
    use = f'```\npipestill predict {evaluation["experiment"]} {option} "..." --seed {evaluation["seeds"][0]}\n```'
    parts = [
        f"# {evaluation['experiment']}",
        f"{evaluation['method_title']}: {evaluation['method_summary']} Task `{evaluation['task']}`, "
        f"study `{evaluation['study']}`.",
        _table(
            ["", "value"],
            [
                ["base model", f"`{evaluation['student']}`" if evaluation["student"] else MISSING],
                ["teacher", f"`{evaluation['teacher']}`" if evaluation["teacher"] else MISSING],
                ["data", evaluation["source"]],
                ["training examples", count(evaluation["n_train"])],
                ["parameters", count(evaluation["cost"]["total_parameters"])],
                ["parameters trained", count(evaluation["cost"]["trainable_parameters"])],
                *rows,
            ],
        ),
        *([] if evaluation["sentences"] else ["## Use", use]),
        "## Test results",
        *results,
        "## Cost",
        _costs(evaluation),
        "## Limits",
        "\n".join(f"- {sentence}" for sentence in _limits(evaluation)),
        "## Provenance",
        _provenance(evaluation),
    ]
    return "\n\n".join(parts) + "\n"
