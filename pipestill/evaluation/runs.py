"""Runs on the test set, whatever their task: what an evaluation and the report need of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.evaluation.statistics import Metric
from pipestill.io.records import read_jsonl


@dataclass(frozen=True)
class Run(ABC):
    """One run: the ids of its test examples, and metrics that line up with them.

    Attributes:
        path: the file that it was read from.
    """

    path: Path
    ids: list[str]
    metrics: dict[str, Metric]

    @abstractmethod
    def truth(self) -> list[str]:
        """What is known of each example, ``[examples]``, which must be the same in all runs."""

    @abstractmethod
    def entry(self) -> dict[str, Any]:
        """Its entry in the ``runs`` of ``eval.json``."""

    @abstractmethod
    def scores(self) -> Iterator[dict[str, Any]]:
        """A row for each answer: its example, and what it contributes to each metric that is a mean."""


def find_runs(directory: Path) -> dict[int, Path]:
    """The directories ``seed_<n>`` of an experiment's predictions, by seed.

    Raises:
        UserError: there are none.
    """
    found = {int(path.name.removeprefix("seed_")): path for path in Path(directory).glob("seed_*")}
    if not found:
        raise UserError(f"{directory} holds no predictions (seed_<n>): predict again")
    return dict(sorted(found.items()))


def check_same_examples(runs: Sequence[Run]) -> None:
    """Raise ``UserError`` unless all runs were tested on the same examples with the same gold labels or test sets."""
    first = runs[0]
    for run in runs[1:]:
        unshared = sorted(set(first.ids) ^ set(run.ids))
        if unshared:
            has, lacks = (first, run) if unshared[0] in set(first.ids) else (run, first)
            raise UserError(
                f"{has.path} has the test example {unshared[0]!r} and {lacks.path} has not "
                f"({len(unshared)} in all): both must come from the same records, so predict again"
            )
        for example, one, other in zip(run.ids, first.truth(), run.truth(), strict=True):
            if one != other:
                raise UserError(
                    f"{first.path} and {run.path} disagree on {example!r}, which is {one!r} or {other!r}: predict again"
                )


def read_histories(models: Sequence[Path], seeds: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Training log of each run: a model directory is ``.../seed_<n>/model``, or the only one of its experiment.

    A model that was not trained here has none.
    """
    by_seed = {f"seed_{seed}": seed for seed in seeds}
    histories = {}
    for model in map(Path, models):
        seed = seeds[0] if len(models) == len(seeds) == 1 else by_seed.get(model.parent.name)
        if seed is None:
            raise UserError(
                f"{model} is not the model of any of the predicted runs (seeds {', '.join(map(str, seeds))})"
            )
        history = model / "history.jsonl"
        histories[seed] = read_jsonl(history) if history.is_file() else []
    return histories
