"""Runs that generate answers: each test example is answered once per sampling seed."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pipestill.answers.generated.answered import check_keys, read_answers
from pipestill.errors import UserError
from pipestill.evaluation.membership import Membership
from pipestill.evaluation.metric import Metric, Metrics
from pipestill.evaluation.runs import Run, check_same_examples
from pipestill.io.records import Json, JsonFile
from pipestill.io.runs import find_runs
from pipestill.io.sequences import Chosen, Kinds, Named, Texts, first_of_each
from pipestill.metrics.catalogue import CATALOGUE, entry_of
from pipestill.metrics.measures import Scored
from pipestill.tasks.base import Task
from pipestill.text.repetition import repeats_to_the_end

PART = 1 << 12  # rows that are scored at a time
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
    predictions: Path, test_sets: Sequence[str], score: Callable[[int, Path, Sequence[Json]], Scored]
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
    path, seeds = Path(directory) / "scores.jsonl", Kinds()
    keys: Sequence[str] = (*SCORE_KEYS, *task.answers.metrics[:1])
    rows = JsonFile(path)
    for number, row in enumerate(rows, 1):
        check_keys(row, keys, f"{path}, line {number}", "evaluate")
        keys = list(row)  # of all rows alike
        seeds.append(row["seed"])
    names = [key for key in keys if key in CATALOGUE]

    def scores(own: Sequence[Json]) -> Scored:
        return Scored({name: [row[name] for row in own] for name in names})

    by_seed = {seed: Chosen(rows, places) for seed, places in seeds.places().items()}
    return {seed: _run(path, own, test_sets or [None], in_parts(own, scores)) for seed, own in by_seed.items()}


def in_parts(rows: Sequence[Json], score: Callable[[Sequence[Json]], Scored]) -> Scored:
    """Scores of rows, of which ``PART`` are in memory at a time; columns are arrays."""

    def part(start: int) -> Scored:
        found = score(list(rows[start : start + PART]))
        return replace(found, columns={name: np.array(each, dtype=float) for name, each in found.columns.items()})

    parts = [part(start) for start in range(0, len(rows), PART)]
    names = list(parts[0].columns)
    columns = {name: np.concatenate([each.columns.pop(name) for each in parts]) for name in names}
    return Scored(columns, parts[0].signatures)


def metrics_of(scores: Mapping[str, np.ndarray], test_sets: Membership) -> Metrics:
    """Metrics of all test sets, and of single ones.

    A metric that is a mean over answers is the unweighted mean over the test sets. Examples are resampled within their
    test set, so every mean over one is a weighted mean over all. Other metrics are those of all answers together.

    Args:
        scores: ``[examples]`` or ``[examples, k]`` for each metric.
        test_sets: of the examples.
    """

    def of_all(name: str) -> Metric:
        return _metric(name, scores[name], test_sets.weights, test_sets.strata)

    def of_one(name: str, test_set: str) -> Metric:
        return _metric(name, scores[name], test_sets.members(test_set), test_sets.strata)

    metrics = {}
    for name in scores:
        metrics[name] = partial(of_all, name)
        for test_set in test_sets.sizes if entry_of(name).per_test_set else ():
            metrics[f"{name}/{test_set}"] = partial(of_one, name, test_set)
    return Metrics(metrics)


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
    seeds, sets, unmarked = Kinds(), array("i"), Counter()

    def names() -> Iterator[str]:
        for row in rows:
            seeds.append(row["sampling_seed"])
            sets.append(order.index(row["test_set"]))
            if "rationale" in row:
                unmarked[row["rationale"] is None] += 1
            yield row["id"]

    names, of_rows, places = Texts(names()), np.frombuffer(sets, np.int32), {}
    for seed, own in seeds.places().items():
        repeated = np.flatnonzero(first_of_each(names.column[own]) != np.arange(len(own)))
        if len(repeated):
            raise UserError(f"{path}: the id {names[own[repeated[0]]]!r} occurs twice with sampling seed {seed}")
        places[seed] = own[np.lexsort((names.column[own], of_rows[own]))]
    first = next(iter(places.values()))
    ids = names[first]
    for seed, own in places.items():
        if names[own] != ids:
            unshared = min([*ids.without(names[own]), *names[own].without(ids)])
            raise UserError(f"{path}: the id {unshared!r} is not answered with every sampling seed, such as {seed}")
    columns = {name: np.asarray(values, dtype=float) for name, values in scored.columns.items()}
    by_draw = {seed: {name: column[own] for name, column in columns.items()} for seed, own in places.items()}
    means = {name: _of_draws(name, [scores[name] for scores in by_draw.values()]) for name in columns}
    test_sets = Membership(Named(of_rows[first], order))
    metrics, without = metrics_of(means, test_sets), unmarked[True] if unmarked else None
    return GeneratedRun(path, ids, metrics, test_sets, by_draw, without, signatures=scored.signatures)


def _of_draws(name: str, draws: Sequence[np.ndarray]) -> np.ndarray:
    """What each example contributes to a metric, from what its answers do under each sampling seed."""
    together = entry_of(name).of_draws
    if together:
        return together(np.stack(draws))
    return np.mean(draws, axis=0) if len(draws) > 1 else draws[0]
