"""Learning curves: the metrics of a study's methods at shares of its training rows, and their table."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.evaluation.few import Interval
from pipestill.evaluation.runs import check_same_examples
from pipestill.io.files import atomic_path
from pipestill.reporting.collect import collect
from pipestill.reporting.comparisons import against_sft
from pipestill.reporting.study import Experiment, Study

COLUMNS = (
    "study", "method", "share", "n_train", "metric", "mean", "sd", "ci95_low", "ci95_high", "seeds",
    "over_sft", "over_sft_ci95_low", "over_sft_ci95_high",
)  # fmt: skip


@dataclass(frozen=True)
class LearningCurve:
    """A study, and the same study by the share of its training rows that students were trained on, ascending to 1."""

    study: Study
    at: dict[float, Study]

    @property
    def base(self) -> Experiment | None:
        """The untrained student, if the study has it."""
        return self.study.base

    def of(self, method: str) -> dict[float, Experiment]:
        """The experiments of a method by share."""
        return {share: study.get(method) for share, study in self.at.items()}


def read_learning_curve(name: str, names: Mapping[float, str], evaluations: Sequence[Path]) -> LearningCurve:
    """The curve of the study ``name``.

    Args:
        name: of the study.
        names: what the study is called at each share, ascending to 1.
        evaluations: ``eval.json`` of its experiments at each share.

    Raises:
        UserError: as :func:`~pipestill.reporting.collect.collect`, also for experiments at different shares; or nothing
            was trained.
    """
    studies = {study.name: study for study in collect(evaluations)}
    check_same_examples([run for study in studies.values() for each in study.experiments for run in each.runs.values()])
    if name not in studies or not studies[name].trained:
        raise UserError(f"study {name} trains no method, so it has no learning curve; add one to its `methods`")
    return LearningCurve(studies[name], {share: studies[own] for share, own in names.items()})


def rows(curve: LearningCurve) -> Iterator[dict[str, Any]]:
    """The rows of the table, one a share, method and metric; the untrained student has share 0."""
    if curve.base:
        yield from _rows_of(curve.study, curve.base, 0.0)
    for share, study in curve.at.items():
        over = {comparison.a.method: comparison for comparison in against_sft(study)}
        for experiment in study.trained:
            for row in _rows_of(curve.study, experiment, share):
                if row["metric"] == study.primary and experiment.method in over:
                    comparison = over[experiment.method]
                    row |= {"over_sft": f"{comparison.difference:.6f}", **_interval("over_sft_", comparison.ci95)}
                yield row


def _rows_of(study: Study, experiment: Experiment, share: float) -> Iterator[dict[str, Any]]:
    for name in study.metric_names:
        metric = experiment.metric(name)
        yield {
            "study": study.name,
            "method": experiment.method,
            "share": f"{share:.10g}",
            "n_train": experiment.evaluation.n_train,
            "metric": name,
            "mean": f"{metric.mean:.6f}",
            "sd": "" if metric.sd is None else f"{metric.sd:.6f}",
            **_interval("", metric.ci95),
            "seeds": " ".join(map(str, experiment.evaluation.seeds)),
        }


def _interval(prefix: str, ci95: Interval | None) -> dict[str, str]:
    ends = ("", "") if ci95 is None else [f"{value:.6f}" for value in ci95]
    return {f"{prefix}ci95_{end}": value for end, value in zip(("low", "high"), ends, strict=True)}


def write_learning_curve(path: Path, curve: LearningCurve) -> None:
    """Write the table; ``over_sft`` is the paired difference from SFT at the same share, on the primary metric."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows(curve))
