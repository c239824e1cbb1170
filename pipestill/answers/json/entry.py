"""Details in ``eval.json`` of a run whose answers are JSON: counts of fields in each part of the test sets."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pipestill.evaluation.evaluation import RunEntry
from pipestill.metrics.field_sums import field_f1, share
from pipestill.settings.section import Section

Counts = tuple[int, int, int]  # right, found and expected fields


class Part(Section):
    """Answers to the examples of one part of a test set, or of several such parts together."""

    test_set: str | None
    """Name of the test set; none where examples are of none, or of several."""
    subset: str | None
    """Part of the test set; none where it has no parts, or of several."""
    answers: int
    """Answers; each sampled one counts."""
    not_json: int
    """Those that are not JSON."""
    not_valid: int
    """Those that are not valid by the schema, or not JSON."""
    exact: int
    """Those that equal the gold object."""
    fields: dict[str, Counts]
    """Right, found and expected fields by path."""

    @property
    def together(self) -> Counts:
        """Counts of all fields."""
        return _sum(self.fields.values())

    @property
    def f1(self) -> float:
        """F1 of all fields."""
        return f1(self.together)


class JsonDetails(Section):
    """Details of one run."""

    by_sampling_seed: dict[str, dict[str, float]]
    """Metrics under each sampling seed."""
    unmarked: int | None
    """Answers that no marker tells from their rationales."""
    repeating: int | None = None
    """Answers that repeat themselves to their end."""
    parts: list[Part]
    """Parts of the test sets."""


def f1(counts: Counts) -> float:
    """F1 of counted fields."""
    return float(field_f1(np.array(counts)))


def precision(counts: Counts) -> float:
    """Share of the found fields that are right; 0 of none."""
    return float(share(np.array([counts[0], counts[1]])))


def recall(counts: Counts) -> float:
    """Share of the expected fields that are right; 0 of none."""
    return float(share(np.array([counts[0], counts[2]])))


def details_of(run: RunEntry) -> JsonDetails:
    """The details of a run, typed."""
    return JsonDetails.model_validate(run.details)


def joined(parts: Iterable[Part], by: Callable[[Part], tuple[str | None, str | None]]) -> list[Part]:
    """Parts that are alike, by ``(test set, subset)``, as one each, their counts summed."""
    groups: dict[tuple[str | None, str | None], list[Part]] = {}
    for part in parts:
        groups.setdefault(by(part), []).append(part)
    return [_joined(*key, group) for key, group in groups.items()]


def _joined(test_set: str | None, subset: str | None, parts: Sequence[Part]) -> Part:
    paths = dict.fromkeys(path for part in parts for path in part.fields)
    counted = ("answers", "not_json", "not_valid", "exact")
    return Part(
        test_set=test_set,
        subset=subset,
        **{name: sum(getattr(part, name) for part in parts) for name in counted},
        fields={path: _sum(part.fields.get(path, (0, 0, 0)) for part in parts) for path in paths},
    )


def _sum(counts: Iterable[Counts]) -> Counts:
    return tuple(map(sum, zip(*counts, strict=True))) or (0, 0, 0)
