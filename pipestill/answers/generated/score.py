"""Runs that generate answers: each test example is answered once per sampling seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipestill.answers.generated.answered import check_keys, read_answers
from pipestill.errors import UserError
from pipestill.evaluation.membership import Membership
from pipestill.evaluation.metric import Metric
from pipestill.evaluation.runs import Run, check_same_examples
from pipestill.io.records import Json, iterate_jsonl
from pipestill.io.runs import find_runs
from pipestill.metrics.catalogue import CATALOGUE, entry_of
from pipestill.metrics.measures import Scored
from pipestill.tasks.base import Task
from pipestill.text.repetition import repeats_to_the_end

SCORE_KEYS = ("seed", "sampling_seed", "id", "test_set")  # of scores, beside the metrics

ByDraw = Mapping[int | None, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class GeneratedRun(Run):
    """A run that generates answers.

    Attributes:
        by_draw: each answer's metrics by sampling seed; greedy answers have seed none. ``[examples]`` for means over
            answers, ``[examples, k]`` for what answers contribute to a metric of all.
        unmarked: answers that no marker told from their rationales, so that both are scored; none where answers come
            alone.
        repeating: answers that repeat themselves to their end, and whose references do not; none where texts are not
            read.
    """

    by_draw: ByDraw
    unmarked: int | None = None
    repeating: int | None = None

    @property
    def sampled(self) -> bool:
        """True if its answers were drawn."""
        return None not in self.by_draw

    def draws(self, name: str) -> list[float]:
        """A metric under each sampling seed; empty for one of several draws together."""
        if entry_of(name).of_draws:
            return []
        return [metrics_of(scores, self.test_sets)[name].estimate() for scores in self.by_draw.values()]

    def details(self) -> Json:
        """Metrics of each sampling seed, and how many answers had no marker where they should have one, or repeat
        themselves."""
        return {
            "by_sampling_seed": {
                str(seed): {
                    name: metric.estimate()
                    for name, metric in metrics_of(scores, self.test_sets).items()
                    if not entry_of(name).of_draws
                }
                for seed, scores in self.by_draw.items()
                if seed is not None
            },
            "unmarked": self.unmarked,
            "repeating": self.repeating,
        }

    def scores(self) -> Iterator[Json]:
        """Metrics of each answer, and what it contributes to those of all answers."""
        for seed, scores in self.by_draw.items():
            for index, (example, test_set) in enumerate(zip(self.ids, self.test_sets.of_examples, strict=True)):
                values = {name: column[index].tolist() for name, column in scores.items()}
                yield {"sampling_seed": seed, "id": example, "test_set": test_set, **values}


def runs_of(
    predictions: Path, test_sets: Sequence[str], score: Callable[[int, Path, list[Json]], Scored]
) -> dict[int, GeneratedRun]:
    """The runs of an experiment by seed, from ``predictions/seed_<n>/``.

    Args:
        predictions: directory of the predictions of all runs.
        test_sets: names that are known; none where answers are of no test set.
        score: ``(seed, directory of the run, its rows)`` to the scores of the rows.

    Raises:
        UserError: there is no run, a file is missing or broken, or the runs were tested on different examples.
    """
    found = {}
    for seed, directory in find_runs(predictions).items():
        path = directory / "predictions.jsonl"
        rows = read_answers(path, test_sets)
        run = _run(path, rows, test_sets or [None], score(seed, directory, rows))
        found[seed] = replace(run, repeating=sum(map(_repeats, rows)))
    check_same_examples(found.values())
    return found


def measured(task: Task, test_sets: Sequence[str], directory: Path) -> dict[int, GeneratedRun]:
    """The runs of an evaluated experiment by seed, as the report needs them; no text is scored again.

    Args:
        task: of the experiment.
        test_sets: that it was tested on, in order.
        directory: of the experiment, with ``scores.jsonl``.

    Raises:
        UserError: the file is missing or broken.
    """
    path, by_seed = Path(directory) / "scores.jsonl", {}
    keys: Sequence[str] = (*SCORE_KEYS, *task.answers.metrics[:1])
    for number, row in enumerate(iterate_jsonl(path), 1):
        check_keys(row, keys, f"{path}, line {number}", "evaluate")
        keys = list(row)  # of all rows alike
        by_seed.setdefault(row["seed"], []).append(row)
    names = [key for key in keys if key in CATALOGUE]
    return {
        seed: _run(path, rows, test_sets or [None], Scored({name: [row[name] for row in rows] for name in names}))
        for seed, rows in by_seed.items()
    }


def metrics_of(scores: Mapping[str, np.ndarray], test_sets: Membership) -> dict[str, Metric]:
    """Metrics of all test sets, and of single ones.

    A metric that is a mean over answers is the unweighted mean over the test sets. Examples are resampled within their
    test set, so every mean over one is a weighted mean over all. Other metrics are those of all answers together.

    Args:
        scores: ``[examples]`` or ``[examples, k]`` for each metric.
        test_sets: of the examples.
    """
    metrics = {}
    for name, values in scores.items():
        metrics[name] = _metric(name, values, test_sets.weights, test_sets.strata)
        for test_set in test_sets.sizes if entry_of(name).per_test_set else ():
            members = test_sets.members(test_set)
            metrics[f"{name}/{test_set}"] = _metric(name, values, members, test_sets.strata)
    return metrics


def _metric(name: str, values: np.ndarray, weights: np.ndarray, strata: np.ndarray | None) -> Metric:
    """A metric over weighted examples: of what they contribute, ``[examples, k]``, or a mean of ``[examples]``."""
    entry, n = entry_of(name), len(values)
    if score := entry.corpus:
        counted = (weights > 0).astype(float)
        whole = Metric(values * counted[:, None], lambda means: score(means * n), entry.highest, strata=strata)
        return replace(whole, weights=counted)
    return Metric.mean_of(values, entry.highest, lowest=entry.lowest).over(weights, strata)


def _repeats(row: Json) -> bool:
    """True if an answer repeats itself to its end, as none of its references does."""
    return repeats_to_the_end(row["prediction"]) and not any(map(repeats_to_the_end, row["references"]))


def _run(path: Path, rows: Sequence[Json], order: Sequence[str | None], scored: Scored) -> GeneratedRun:
    """A run from its rows and their scores; examples are sorted by test set, then id, so that runs line up."""
    places: dict[int | None, dict[str, int]] = {}  # of an example's answer among the rows, by sampling seed
    for index, row in enumerate(rows):
        answers = places.setdefault(row["sampling_seed"], {})
        if row["id"] in answers:
            raise UserError(f"{path}: the id {row['id']!r} occurs twice with sampling seed {row['sampling_seed']}")
        answers[row["id"]] = index
    first = next(iter(places.values()))
    of_example = {example: rows[index]["test_set"] for example, index in first.items()}
    ids = sorted(first, key=lambda example: (order.index(of_example[example]), example))
    for seed, answers in places.items():
        if unshared := sorted(set(first) ^ set(answers)):
            raise UserError(f"{path}: the id {unshared[0]!r} is not answered with every sampling seed, such as {seed}")
    columns = {name: np.array(values, dtype=float) for name, values in scored.columns.items()}
    by_draw = {
        seed: {name: column[[answers[example] for example in ids]] for name, column in columns.items()}
        for seed, answers in places.items()
    }
    means = {name: _of_draws(name, [scores[name] for scores in by_draw.values()]) for name in columns}
    test_sets = Membership([of_example[example] for example in ids])
    rationales = [row["rationale"] for row in rows if "rationale" in row]
    unmarked = rationales.count(None) if rationales else None
    metrics = metrics_of(means, test_sets)
    return GeneratedRun(path, ids, metrics, test_sets, by_draw, unmarked, signatures=scored.signatures)


def _of_draws(name: str, draws: Sequence[np.ndarray]) -> np.ndarray:
    """What each example contributes to a metric, from what its answers do under each sampling seed."""
    together = entry_of(name).of_draws
    return together(np.stack(draws)) if together else np.mean(draws, axis=0)
