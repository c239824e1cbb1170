"""Runs whose answers are JSON, compared field by field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipestill.answers.generated.score import GeneratedRun, measured, runs_of
from pipestill.answers.json.entry import Part
from pipestill.io.records import Json
from pipestill.metrics.json_fields import Fields, compare
from pipestill.metrics.measures import Scored
from pipestill.settings.evaluation import Experiment
from pipestill.tasks.base import Task

__all__ = ["measured", "runs"]


@dataclass(frozen=True)
class JsonRun(GeneratedRun):
    """A run whose answers are JSON.

    Attributes:
        parts: counts in each part of the test sets.
    """

    parts: Sequence[Part] = ()

    def details(self) -> Json:
        """Those of generated answers, and the counts of each part."""
        return {**super().details(), "parts": [part.model_dump(mode="json") for part in self.parts]}


def runs(task: Task, experiment: Experiment, predictions: Path, columns: Mapping[str, Path]) -> dict[int, JsonRun]:
    """The runs of an experiment by seed, from ``predictions/seed_<n>/``.

    Args:
        task: has the schema.
        experiment: names its test sets and the options of its answers.
        predictions: directory of the predictions of all runs.
        columns: what other jobs measured of each answer; nothing is, of JSON.

    Raises:
        UserError: there is no run, a file is missing or broken, or the runs were tested on different examples.
    """
    schema = task.answers.schema_of(task.answers.options(experiment.answers))
    parts: dict[int, list[Part]] = {}

    def score(seed: int, directory: Path, rows: Sequence[Json]) -> Scored:
        compared = [compare(row["prediction"], row["references"]) for row in rows]
        valid = [schema.accepts(row["prediction"]) for row in rows]
        parts[seed] = _parts(rows, compared, valid)
        return Scored(
            {
                "field_f1": [fields.sums for fields in compared],
                "exact_match": [float(fields.exact) for fields in compared],
                "schema_valid": [*map(float, valid)],
                "field_precision": [fields.sums[:2] for fields in compared],
                "field_recall": [fields.sums[::2] for fields in compared],
            }
        )

    found = runs_of(predictions, experiment.test_sets, score)
    return {seed: JsonRun(**vars(run), parts=parts[seed]) for seed, run in found.items()}


def _parts(rows: Sequence[Json], compared: Sequence[Fields], valid: Sequence[bool]) -> list[Part]:
    groups: dict[tuple[str | None, str | None], list[tuple[Fields, bool]]] = {}
    for row, *found in zip(rows, compared, valid, strict=True):
        groups.setdefault((row["test_set"], row.get("subset")), []).append(tuple(found))
    return [_part(*key, group) for key, group in groups.items()]


def _part(test_set: str | None, subset: str | None, found: Sequence[tuple[Fields, bool]]) -> Part:
    """The part that answers lie in, each with whether it is valid."""
    compared = [fields for fields, _ in found]
    paths = dict.fromkeys(path for fields in compared for path in (*fields.expected, *fields.found))
    return Part(
        test_set=test_set,
        subset=subset,
        answers=len(found),
        not_json=sum(not fields.parsed for fields in compared),
        not_valid=sum(not valid for _, valid in found),
        exact=sum(fields.exact for fields in compared),
        fields={
            path: tuple(map(sum, zip(*(fields.counts(path) for fields in compared), strict=True))) for path in paths
        },
    )
