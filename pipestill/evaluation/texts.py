"""Runs that generate text: each test example is answered once per sampling seed, and belongs to a test set."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.evaluation.runs import Run, check_same_examples, find_runs
from pipestill.evaluation.statistics import Metric, spread
from pipestill.io.records import Record, iterate_jsonl
from pipestill.metrics import ANSWER_METRICS, HIGHEST, score_answers
from pipestill.metrics.corpus import CORPUS_METRICS
from pipestill.metrics.summaries import score_summaries
from pipestill.text.sentences import Splitter

PREDICTION_KEYS = ("id", "split", "test_set", "sampling_seed", "prediction", "references")
ANSWER_KEYS = ("seed", "sampling_seed", "id", "test_set")  # of scores, beside the metrics
OVERALL = ("exact_match", "_precision", "_recall")  # how metrics end that are not given for each test set too


@dataclass(frozen=True)
class TextRun(Run):
    """A run that generates text.

    Attributes:
        test_sets: name of each example's test set, ``[examples]``.
        by_sampling_seed: each answer's metrics by sampling seed; greedy answers have seed none. ``[examples]`` for
            means over answers, ``[examples, k]`` for what answers contribute to ``CORPUS_METRICS``.
        signatures: how groups of metrics were computed, where they can be in several ways.
        unmarked: answers that no marker told from their rationales, so that both are scored; none where answers come
            alone.
    """

    test_sets: list[str]
    by_sampling_seed: dict[int | None, dict[str, np.ndarray]]
    signatures: dict[str, Any]
    unmarked: int | None = None

    @property
    def sampled(self) -> bool:
        """Whether its answers were drawn."""
        return None not in self.by_sampling_seed

    def truth(self) -> list[str]:
        """The test sets."""
        return self.test_sets

    def values(self, name: str) -> list[float]:
        """A metric under each sampling seed."""
        return [metrics_of(scores, self.test_sets)[name].estimate() for scores in self.by_sampling_seed.values()]

    def entry(self) -> dict[str, Any]:
        """Metrics, those of each sampling seed, and how many answers had no marker where they should have one."""
        return {
            "n_test": len(self.ids),
            "metrics": {name: metric.estimate() for name, metric in self.metrics.items()},
            "by_sampling_seed": {
                str(seed): {name: metric.estimate() for name, metric in metrics_of(scores, self.test_sets).items()}
                for seed, scores in self.by_sampling_seed.items()
                if seed is not None
            },
            **({} if self.unmarked is None else {"unmarked": self.unmarked}),
        }

    def scores(self) -> Iterator[dict[str, Any]]:
        """Metrics of each answer, and what it contributes to those of all answers."""
        for seed, scores in self.by_sampling_seed.items():
            for index, (example, test_set) in enumerate(zip(self.ids, self.test_sets, strict=True)):
                values = {name: column[index].tolist() for name, column in scores.items()}
                yield {"sampling_seed": seed, "id": example, "test_set": test_set, **values}


def metrics_of(scores: Mapping[str, np.ndarray], test_sets: Sequence[str]) -> dict[str, Metric]:
    """Metrics of all test sets, and of single ones.

    A metric that is a mean over answers is the unweighted mean over the test sets. Examples are resampled within their
    test set, so every mean over one is a weighted mean over all. A metric of ``CORPUS_METRICS`` is that of all answers.

    Args:
        scores: ``[examples]`` or ``[examples, k]`` for each metric.
        test_sets: of each example.
    """
    names, members = np.unique(test_sets, return_inverse=True)
    sizes = np.bincount(members)
    weights = 1 / sizes[members]
    metrics = {}
    order = np.argsort([test_sets.index(each) for each in names])
    for name, values in scores.items():
        metrics[name] = _metric(name, values, weights, members)
        for index in () if name.endswith(OVERALL) else order:
            own = (members == index).astype(float)
            metrics[f"{name}/{names[index]}"] = _metric(name, values, own, members)
    return metrics


def _metric(name: str, values: np.ndarray, weights: np.ndarray, members: np.ndarray) -> Metric:
    """A metric over weighted examples: of what they contribute, ``[examples, k]``, or a mean of ``[examples]``."""
    if name in CORPUS_METRICS:
        score, n = CORPUS_METRICS[name], len(values)
        return Metric(
            values * (weights > 0)[:, None], lambda means: score(means * n), HIGHEST.get(name, 100.0), strata=members
        )
    lowest = -np.inf if name.startswith("bertscore") else 0.0  # rescaled, it is negative for worse than unrelated texts
    weighted = values * weights * (len(weights) / weights.sum())
    return Metric.mean_of(weighted, HIGHEST.get(name, 100.0), members, lowest)


def _score_as_answers(rows: Sequence[Record], _: Splitter) -> tuple[dict[str, list], dict[str, str]]:
    return score_answers([row["prediction"] for row in rows], [row["references"] for row in rows]), {}


def _score_as_summaries(rows: Sequence[Record], splitter: Splitter) -> tuple[dict[str, list], dict[str, str]]:
    """Test sets are languages."""
    columns = ([row[key] for row in rows] for key in ("prediction", "references", "test_set"))
    scores = score_summaries(*columns, splitter=splitter)
    corpus = {name: list(metric.counts) for name, metric in scores.corpus.items()}
    return {**scores.answers, **corpus}, scores.signatures


SCORERS = {"answers": _score_as_answers, "summaries": _score_as_summaries}


def sizes_of_test_sets(run: TextRun) -> dict[str, int]:
    """Examples of each test set, in order."""
    return {name: run.test_sets.count(name) for name in dict.fromkeys(run.test_sets)}


def add_spread(summary: dict[str, dict[str, Any]], runs: Sequence[TextRun]) -> None:
    """Add to each metric what training and sampling contribute to its spread; see :func:`~.statistics.spread`."""
    for name, entry in summary.items():
        values = np.array([run.values(name) for run in runs])
        entry["training_sd"], entry["sampling_sd"] = spread(values, sampled=runs[0].sampled)


def load_text_runs(
    directory: Path,
    test_sets: Sequence[str],
    metrics: str = "answers",
    add: Callable[[Sequence[Record], int], tuple[dict[str, list], dict[str, Any]]] | None = None,
    splitter: Splitter = "sentencex",
) -> dict[int, TextRun]:
    """The runs of an experiment by seed, from ``directory/seed_<n>/predictions.jsonl``.

    Args:
        directory: the experiment's predictions.
        test_sets: names that are known, in their order.
        metrics: a key of ``SCORERS``.
        add: rows and seed of a run to further metrics of each answer, with their signatures.
        splitter: see :func:`pipestill.text.sentences.split_sentences`.

    Raises:
        UserError: there is no run, a file is missing or broken, or the runs were tested on different examples.
    """
    runs = {}
    for seed, run in find_runs(directory).items():
        path = run / "predictions.jsonl"
        rows = read_answers(path, test_sets)
        scores, signatures = SCORERS[metrics](rows, splitter)
        if (likelihoods := run / "likelihood.jsonl").is_file():
            scores |= _of_likelihoods(likelihoods, rows)
        if add:
            more, signature = add(rows, seed)
            scores, signatures = {**scores, **more}, {**signatures, **signature}
        scored = [
            {**row, **dict(zip(scores, values, strict=True))}
            for row, *values in zip(rows, *scores.values(), strict=True)
        ]
        runs[seed] = _run(path, scored, test_sets, list(scores), signatures)
    check_same_examples(list(runs.values()))
    return runs


def _of_likelihoods(path: Path, rows: Sequence[Record]) -> dict[str, list[tuple[float, int]]]:
    """What each row contributes to ``perplexity`` and ``token_accuracy``.

    Raises:
        UserError: the file lacks a row: it is of other predictions.
    """
    found = {row["id"]: row for row in iterate_jsonl(path)}
    if missing := [row["id"] for row in rows if row["id"] not in found]:
        raise UserError(f"{path} has no row for {missing[0]!r}: predict again")
    own = [found[row["id"]] for row in rows]
    return {
        "perplexity": [(row["nll"], row["tokens"]) for row in own],
        "token_accuracy": [(row["correct"], row["tokens"]) for row in own],
    }


def load_scores(path: Path) -> dict[int, TextRun]:
    """The runs of an experiment by seed, from its ``scores.jsonl``.

    Raises:
        UserError: the file is missing or broken.
    """
    by_seed: dict[int, list[Record]] = {}
    keys: Sequence[str] = (*ANSWER_KEYS, *ANSWER_METRICS)
    for number, row in enumerate(iterate_jsonl(path), 1):
        _check_keys(row, keys, f"{path}, line {number}", "evaluate")
        keys = list(row)  # of all rows alike
        by_seed.setdefault(row["seed"], []).append(row)
    order = list(dict.fromkeys(row["test_set"] for rows in by_seed.values() for row in rows))
    metrics = [key for key in keys if key not in ANSWER_KEYS]
    return {seed: _run(path, rows, order, metrics, {}) for seed, rows in by_seed.items()}


def _check_keys(row: Record, keys: Sequence[str], where: str, again: str) -> None:
    missing = set(keys) - set(row)
    if missing:
        raise UserError(f"{where}: {', '.join(sorted(missing))} is missing: {again} again")


def read_answers(path: Path, test_sets: Sequence[str]) -> list[Record]:
    """The test rows of ``predictions.jsonl``.

    Raises:
        UserError: the file is missing or broken, or holds no test row; the message names the line.
    """
    rows = []
    for number, row in enumerate(iterate_jsonl(path), 1):
        where = f"{path}, line {number}"
        _check_keys(row, PREDICTION_KEYS, where, "predict")
        if row["split"] != "test":
            continue
        if row["test_set"] not in test_sets:
            raise UserError(f"{where}: the test set {row['test_set']!r} is none of {', '.join(test_sets)}")
        if not isinstance(row["prediction"], str):
            raise UserError(f"{where}: the prediction is {type(row['prediction']).__name__}, not text: predict again")
        references = row["references"]
        if not isinstance(references, list) or not references or not all(isinstance(each, str) for each in references):
            raise UserError(f"{where}: `references` must be a list of one text or more: predict again")
        rows.append(row)
    if not rows:
        raise UserError(f"{path} holds no row of the test split: predict again")
    return rows


def _run(
    path: Path, rows: Sequence[Record], order: Sequence[str], metrics: Sequence[str], signatures: dict[str, Any]
) -> TextRun:
    """A run from rows with ``metrics``; examples are sorted by test set, then id, so that runs line up."""
    by_seed: dict[int | None, dict[str, Record]] = {}
    for row in rows:
        answers = by_seed.setdefault(row["sampling_seed"], {})
        if row["id"] in answers:
            raise UserError(f"{path}: the id {row['id']!r} occurs twice with sampling seed {row['sampling_seed']}")
        answers[row["id"]] = row
    first = next(iter(by_seed.values()))
    ids = sorted(first, key=lambda example: (order.index(first[example]["test_set"]), example))
    for seed, answers in by_seed.items():
        if unshared := sorted(set(first) ^ set(answers)):
            raise UserError(f"{path}: the id {unshared[0]!r} is not answered with every sampling seed, such as {seed}")
    scores = {
        seed: {name: np.array([answers[example][name] for example in ids], dtype=float) for name in metrics}
        for seed, answers in by_seed.items()
    }
    test_sets = [first[example]["test_set"] for example in ids]
    means = {name: np.mean([each[name] for each in scores.values()], axis=0) for name in metrics}
    rationales = [row["rationale"] for row in rows if "rationale" in row]
    unmarked = rationales.count(None) if rationales else None
    return TextRun(path, ids, metrics_of(means, test_sets), test_sets, scores, signatures, unmarked)
