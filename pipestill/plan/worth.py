"""Studies with other numbers of rows, which the curve of what a teacher is worth is drawn through.

They are what ``<study>@prompts-<n>`` and ``<study>@gold-<n>`` name, and always derived: names in a configuration hold
no ``@``.
"""

from typing import NamedTuple

from pipestill.methods import METHODS, SFT
from pipestill.plan.config import Config, UnlabelledConfig
from pipestill.plan.resolve import resolve_training
from pipestill.plan.shares import origin


class Point(NamedTuple):
    """One point of a curve: the experiment with a number of prompts without gold outputs, or of rows with them."""

    study: str
    method: str


def worth_points(config: Config, name: str) -> list[Point]:
    """Points of the curves of a study, its own experiments among them; none where it has no prompts without gold
    outputs."""
    return [point for point, _ in _points(config, name)]


def with_worth(config: Config) -> Config:
    """A checked configuration with a study for each point of such a curve as well; ``run`` is as it was."""
    studies = dict(config.studies)
    for name, study in config.studies.items():
        if origin(name) == name:
            for point, update in _points(config, name):
                studies.setdefault(point.study, study.model_copy(update=update))
    return config.model_copy(update={"studies": studies})


def _points(config: Config, name: str) -> list[tuple[Point, dict[str, object]]]:
    """Each point, the study itself among them, and what is another in its study."""
    study, found = config.studies[name], []
    own = study.unlabelled
    if not own.given:
        return []
    if SFT in study.methods:
        found.append((Point(name, SFT), {}))
    for rows in sorted({*own.sft_curve} - {study.train_rows}):
        changed = {"train_rows": rows, "unlabelled": UnlabelledConfig()}
        found.append((Point(f"{name}@gold-{rows}", SFT), changed))
    for method in study.methods:
        objective, resolved = METHODS[method].objective, resolve_training(config.training, study, method)
        if objective is None or objective.unlabelled_source(resolved.options) is None:
            continue
        for rows in sorted({*own.curve} - {own.rows}):
            fewer = UnlabelledConfig(rows=rows, file=own.file) if rows else UnlabelledConfig()
            found.append((Point(f"{name}@prompts-{rows}", method), {"unlabelled": fewer}))
        found.append((Point(name, method), {}))
    return found
