"""Report on studies whose answers are JSON: fields, parts of the test sets, and answers that are not valid."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipestill.answers.generated import show as generated
from pipestill.answers.json import JsonOptions
from pipestill.answers.json.entry import Counts, Part, details_of, f1, joined, precision, recall
from pipestill.answers.json.writing import Said
from pipestill.io.parsing import BadJson, parse_json
from pipestill.io.records import Json
from pipestill.metrics.json_fields import same
from pipestill.reporting.blocks import Shown, code, line_differences, note, text
from pipestill.reporting.figures.metrics import TEST_METRICS, dots
from pipestill.reporting.panels import Figure, Panel
from pipestill.reporting.study import Experiment, Study


@dataclass(frozen=True)
class Measured:
    """Fields of one path in the answers of one method, all runs together; none where there are none."""

    f1: float | None
    precision: float | None
    recall: float | None

    @classmethod
    def of(cls, counts: Counts) -> "Measured":
        """What counts say; the precision of no found fields and the recall of no expected ones are none."""
        _, found, expected = counts
        return cls(
            f1(counts) if found or expected else None,
            precision(counts) if found else None,
            recall(counts) if expected else None,
        )


@dataclass(frozen=True)
class FieldTable:
    """A table of fields by method.

    Attributes:
        title: name of the test set; none for all test examples.
        rows: path, number of gold fields in a run's examples, and what each method reaches.
    """

    title: str | None
    rows: Sequence[tuple[str, int, Sequence[Measured]]]


def field_tables(study: Study) -> list[FieldTable]:
    """Fields in the order of the schema; those that only answers have come last. A table for each test set."""
    by_method = [_by_test_set(each) for each in study.experiments]
    return [_field_table(name, [parts[name] for parts in by_method], study) for name in by_method[0]]


def part_rows(study: Study) -> list[tuple[Part, list[Part]]]:
    """Parts of the test sets, such as layouts, and the same part of each method; none where there are no parts."""
    by_method = [{(part.test_set, part.subset): part for part in _parts(each)} for each in study.experiments]
    return [
        (part, [parts[key] for parts in by_method]) for key, part in by_method[0].items() if part.subset is not None
    ]


def example(row: Json, scores: Json) -> Shown:
    """The object with its differences to the gold one, and whether it is valid by the schema."""
    gold = parse_json(row["references"][0])
    reference = [code(_pretty(gold))]
    try:
        value = parse_json(row["prediction"])
    except BadJson:
        return Shown([note("no JSON", "bad"), text(row["prediction"], 1)], reference)
    faults = [] if scores["schema_valid"] else [note("not valid by the schema", "bad")]
    return Shown([*faults, line_differences(*map(_pretty, aligned(value, gold)))], reference)


def aligned(value: Any, gold: Any) -> tuple[Any, Any]:
    """Both, so that lines of them differ only in fields that do: keys in the order of the gold object, equal leaves in
    its way of writing, and no null that the answer leaves out."""
    if isinstance(value, dict) and isinstance(gold, dict):
        both = {key: aligned(value[key], each) for key, each in gold.items() if key in value}
        missing = {key: each for key, each in gold.items() if key not in value and each is not None}
        more = {key: each for key, each in value.items() if key not in gold}
        own = {key: each for key, (each, _) in both.items()} | more
        return own, {key: both[key][1] if key in both else missing[key] for key in gold if key in {**both, **missing}}
    if isinstance(value, list) and isinstance(gold, list):
        both = [aligned(*pair) for pair in zip(value, gold, strict=False)]
        shared = len(both)
        return [own for own, _ in both] + value[shared:], [each for _, each in both] + gold[shared:]
    return (gold if same(value, gold) else value), gold


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def warnings(study: Study) -> list[str]:
    """Those of all generated answers, and answers that are not valid though they were held to the schema: they were
    cut."""
    found = generated.warnings(study)
    for each in study.experiments:
        options = JsonOptions.model_validate(each.evaluation.answers)
        not_valid = sum(part.not_valid for part in _parts(each))
        if options.decoding == "constrained" and not_valid:
            found.append(
                f"{each.title}: {not_valid} answers are not valid by the schema, as they were cut before their end; "
                "raise `answers.max_new_tokens`."
            )
    return found


def _parts(experiment: Experiment) -> list[Part]:
    """Parts of the test sets, all runs together."""
    parts = [part for run in experiment.evaluation.runs for part in details_of(run).parts]
    return joined(parts, lambda part: (part.test_set, part.subset))


def _by_test_set(experiment: Experiment) -> Mapping[str | None, Part]:
    together = joined(_parts(experiment), lambda part: (part.test_set, None))
    return {part.test_set: part for part in together}


def _field_table(name: str | None, parts: Sequence[Part], study: Study) -> FieldTable:
    schema, runs = study.task.answers.schema.content, len(study.experiments[0].evaluation.runs)
    found = {path: [part.fields.get(path, (0, 0, 0)) for part in parts] for part in parts for path in part.fields}
    order = sorted(found, key=lambda path: (not found[path][0][2], _place(schema, path), path))
    return FieldTable(name, [(path, found[path][0][2] // runs, [*map(Measured.of, found[path])]) for path in order])


def _place(schema: Json, path: str) -> list[int]:
    """Where the schema names a path: the place of each of its keys among the properties there."""
    said, places = Said.by(schema), []
    for step in path.replace("[]", ".[]").split("."):
        names = said.names
        places.append(names.index(step) if step in names else len(names))
        said = said.of(0 if step == "[]" else step)
    return places


def _metrics(study: Study) -> str:
    return dots(study, study.experiments, [study.primary, *study.test_set_metrics, "exact_match"])


def _view(study: Study) -> Json:
    wholes = [joined(_parts(each), lambda part: (None, None))[0] for each in study.experiments]
    return {
        "tables": field_tables(study),
        "parts": part_rows(study),
        "wholes": list(zip(study.experiments, wholes, strict=True)),
    }


PANELS = (Panel("results", "json.html.j2", _view),)
FIGURES = {
    "metrics": Figure(_metrics, TEST_METRICS),
}
MEASURED = "json_measured.html.j2"
SCORE = None  # what single answers are scored by: the metric that decides
OVERALL = "all answers"  # what a metric of several test sets is of
