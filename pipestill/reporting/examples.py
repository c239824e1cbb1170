"""Test examples of a study with what every method answers, for the example browser of the page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from random import Random

import numpy as np

from pipestill.evaluation.formats import MISSING
from pipestill.io.files import read_json
from pipestill.io.records import Json, iterate_jsonl
from pipestill.io.runs import find_runs
from pipestill.io.sequences import Texts, shuffled
from pipestill.metrics.catalogue import Entry, entry_of
from pipestill.reporting.blocks import Shown, cut, shortened
from pipestill.reporting.study import Experiment, Study
from pipestill.settings.prompts import Prompt

DRAWN, DIFFERING = 24, 16  # examples: a draw of all, and those on which methods differ most
LIMITS = (2000, 1000, 500, 250, 120, 60)  # characters of a text, the first that keeps the page small
BYTES = 900_000  # of the examples of all studies together
PLACES = 12  # decimals of spreads; those that agree so far are equal
PART = 1 << 12  # scores that are read at a time
TINY = 1e-9  # scores that differ by less are equal


@dataclass(frozen=True)
class Answer:
    """What one method answers.

    Attributes:
        shown: as the page shows it.
        score: its score; none where it has none.
        other: whether it is none of the references.
        prompt: what was asked; none where that is not known.
    """

    shown: Shown
    score: float | None
    other: bool
    prompt: str | None


@dataclass(frozen=True)
class Example:
    """One test example.

    Attributes:
        id: of its record.
        test_set: that it is of.
        drawn: whether it was drawn, and not chosen because methods differ.
        answers: by the study's experiments.
    """

    id: str
    test_set: str | None
    drawn: bool
    answers: list[Answer]

    def row(self, limit: int, decimals: int) -> Json:
        """What the page holds of it: texts, each cut after ``limit`` characters, and prompts once each."""
        prompts = list(dict.fromkeys(answer.prompt for answer in self.answers if answer.prompt is not None))
        scores = [answer.score for answer in self.answers if answer.score is not None]
        return {
            "id": cut(self.id, limit),
            "set": self.test_set,
            "drawn": self.drawn,
            "differs": bool(scores) and max(scores) - min(scores) > TINY,
            "prompts": [cut(prompt, limit) for prompt in prompts],
            "reference": shortened(self.answers[0].shown.reference, limit),
            "answers": [
                {
                    "score": MISSING if answer.score is None else f"{round(answer.score, decimals):g}",
                    "other": answer.other,
                    "prompt": prompts.index(answer.prompt) if answer.prompt is not None else None,
                    "blocks": shortened(answer.shown.answer, limit),
                }
                for answer in self.answers
            ],
        }


@dataclass(frozen=True)
class Examples:
    """Examples of a study.

    Attributes:
        study: that they are of.
        score: title of what answers are scored by.
        decimals: that a score is written with.
        examples: in the order of the page.
        total: test examples that there are.
        limit: characters after which texts are cut.
    """

    study: Study
    score: str
    decimals: int
    examples: list[Example]
    total: int
    limit: int = LIMITS[0]

    def data(self) -> Json:
        """What the page holds of them."""
        return {
            "methods": [each.title for each in self.study.experiments],
            "reference": [each.is_reference for each in self.study.experiments],
            "score": self.score,
            "examples": [example.row(self.limit, self.decimals) for example in self.examples],
        }

    @property
    def size(self) -> int:
        """Bytes that they take in the page, nearly."""
        return len(json.dumps(self.data(), ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))

    @property
    def differing(self) -> int:
        """Those that were chosen because methods differ."""
        return sum(not example.drawn for example in self.examples)

    def within(self, size: int) -> "Examples":
        """The same, with texts so short, and in the end so few, that they take no more than ``size`` bytes."""
        found = self
        for limit in LIMITS:
            found = replace(found, limit=limit)
            if found.size <= size:
                return found
        while found.examples and found.size > size:
            found = replace(found, examples=found.examples[:-1])
        return found


def examples_of(studies: Sequence[Study], records: Sequence[Path]) -> dict[str, Examples]:
    """Examples by study, all together within ``BYTES``.

    Args:
        studies: of the report.
        records: cropped records, in a directory of the name of their task.

    Raises:
        UserError: predictions, or records, are missing or broken.
    """
    of_task = {Path(path).parent.name: Path(path) for path in records}
    found = {study.name: _examples(study, of_task.get(study.first.task)) for study in studies}
    return {name: each.within(BYTES // len(found)) for name, each in found.items()}


def _examples(study: Study, records: Path | None) -> Examples:
    entry = entry_of(study.show.SCORE or study.primary)
    run = next(iter(study.experiments[0].runs.values()))
    order = np.argsort(run.ids.column)
    ids = run.ids[order]
    chosen = _chosen(study, np.stack([_mean_scores(each, entry, ids) for each in study.experiments]))
    names = {place: ids[place] for place in chosen}
    inputs = _inputs(records, set(names.values())) if records else {}
    answers = [_answers(each, study, set(names.values()), inputs, entry.key) for each in study.experiments]
    examples = [
        Example(name, run.test_sets.of_examples[order[place]], chosen[place], [own[name] for own in answers])
        for place, name in names.items()
    ]
    return Examples(study, entry.title, entry.decimals, examples, len(ids))


def _chosen(study: Study, scores: np.ndarray) -> dict[int, bool]:
    """Places of the examples to show, and whether each was drawn; those on which methods differ most come first.

    Args:
        study: that they are of.
        scores: ``[methods, examples]``.
    """
    order = shuffled(np.arange(scores.shape[1]), Random(f"{study.bootstrap.seed} {study.name}"))
    spread = np.round(scores.std(axis=0), PLACES)[order]
    apart = [place for place in np.argsort(-spread, kind="stable")[:DIFFERING].tolist() if spread[place] > TINY]
    drawn = [place for place in range(min(len(order), DIFFERING + DRAWN)) if place not in set(apart)][:DRAWN]
    return {**{int(order[each]): False for each in apart}, **{int(order[each]): True for each in drawn}}


def _scores(experiment: Experiment) -> Iterator[Json]:
    return iterate_jsonl(experiment.path.parent / "scores.jsonl")


def _mean_scores(experiment: Experiment, entry: Entry, ids: Texts) -> np.ndarray:
    """The score of each example, mean over all answers to it, ``[examples]``; ``ids`` are sorted."""
    sums, counts, rows = np.zeros(len(ids)), np.zeros(len(ids)), _scores(experiment)
    while part := list(islice(rows, PART)):
        values = [value_of(entry.key, row[entry.key]) for row in part]
        names = Texts(row["id"] for row in part).column
        places = np.minimum(np.searchsorted(ids.column, names), len(ids) - 1)
        known = ids.column[places] == names
        np.add.at(sums, places[known], np.array([value or 0.0 for value in values])[known])
        np.add.at(counts, places[known], 1)
    return sums / np.maximum(counts, 1)


def value_of(name: str, stored: float | Sequence[float]) -> float | None:
    """A metric of a single answer, from its value or from what it contributes to that of all; none where it has
    none."""
    entry = entry_of(name)
    with np.errstate(all="ignore"):
        value = float(entry.corpus(np.array(stored))) if entry.corpus else float(stored)
    return value if isfinite(value) else None


def _inputs(records: Path, wanted: set[str]) -> dict[str, Json]:
    return {row["id"]: row for row in iterate_jsonl(records) if row["id"] in wanted}


def _answers(
    experiment: Experiment, study: Study, wanted: set[str], records: Mapping[str, Json], name: str
) -> dict[str, Answer]:
    """The answers of the first run of an experiment, the first of those that were sampled."""
    predictions = experiment.path.parent / "predictions"
    seed, scores = next(iter(experiment.runs)), {}
    for row in _scores(experiment):
        if row["seed"] == seed and row["id"] in wanted:
            scores.setdefault(row["id"], row)
    prompt = _prompt(predictions / "job.json")
    found: dict[str, Answer] = {}
    for row in _tested(find_runs(predictions)[seed] / "predictions.jsonl"):
        if row["id"] not in wanted or row["id"] in found:
            continue
        record = records.get(row["id"], {})
        found[row["id"]] = Answer(
            shown=study.show.example(row, scores[row["id"]]),
            score=value_of(name, scores[row["id"]][name]),
            other=row["prediction"].split() not in [each.split() for each in row["references"]],
            prompt=prompt.fill(record["inputs"]) if prompt and "inputs" in record else record.get("prompt"),
        )
    return found


def _tested(path: Path) -> Iterator[Json]:
    return (row for row in iterate_jsonl(path) if row["split"] == "test")


def _prompt(job: Path) -> Prompt | None:
    """The prompt that a job asked; none where no model was asked."""
    asking = read_json(job).get("settings", {}).get("asking") if job.is_file() else None
    return Prompt.model_validate(asking["prompt"]) if asking else None
