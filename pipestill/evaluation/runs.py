"""Runs on the test set, whatever their task: what an evaluation and the report need of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipestill.errors import UserError
from pipestill.evaluation.membership import Membership
from pipestill.evaluation.metric import Metric
from pipestill.io.records import Json, iterate_jsonl, read_jsonl
from pipestill.io.sequences import Texts


@dataclass(frozen=True)
class Run(ABC):
    """One run: the ids of its test examples, and metrics that line up with them.

    Attributes:
        path: the file that it was read from.
        test_sets: of the examples.
        signatures: how groups of metrics were computed, where they can be in several ways.
    """

    path: Path
    ids: Texts
    metrics: Mapping[str, Metric]
    test_sets: Membership
    signatures: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @abstractmethod
    def details(self) -> Json:
        """Further facts for ``eval.json``."""

    @abstractmethod
    def scores(self) -> Iterator[Json]:
        """A row for each answer: its example, and what it contributes to the metrics."""

    def truth(self) -> Sequence[str | None]:
        """The known facts of each example, ``[examples]``, which must be the same in all runs."""
        return self.test_sets.of_examples

    def correct(self) -> np.ndarray | None:
        """True for each right answer, ``[examples]``; none where answers are not right or wrong."""
        return None

    @property
    def sampled(self) -> bool:
        """True if its answers were drawn."""
        return False

    def draws(self, name: str) -> list[float]:
        """A metric under each sampling seed; empty where answers are not generated."""
        return []


def check_same_examples(runs: Iterable[Run]) -> None:
    """Raise ``UserError`` unless all runs were tested on the same examples with the same gold labels or test sets."""
    first, *others = runs
    for run in others:
        pairs = ((first, run), (run, first)) if run.ids != first.ids else ()
        if unshared := [(name, has, lacks) for has, lacks in pairs for name in has.ids.without(lacks.ids)]:
            name, has, lacks = min(unshared, key=lambda each: each[0])
            raise UserError(
                f"{has.path} has the test example {name!r} and {lacks.path} has not "
                f"({len(unshared)} in all): both must come from the same records, so predict again"
            )
        truths = first.truth(), run.truth()
        for example, one, other in zip(run.ids, *truths, strict=True) if truths[0] != truths[1] else ():
            if one != other:
                raise UserError(
                    f"{first.path} and {run.path} disagree on {example!r}, which is {one!r} or {other!r}: predict again"
                )


def check_all_answered(runs: Iterable[Run], records: Path) -> None:
    """Raise ``UserError`` unless each run answers all test records of the file ``records``, and no others."""
    asked = Texts(row["id"] for row in iterate_jsonl(records) if row.get("split") == "test")
    for run in runs:
        if missing := asked.without(run.ids):
            raise UserError(
                f"{run.path} answers {len(asked) - len(missing)} of the {len(asked)} test records of {records}, and "
                f"not {missing[0]!r}"
            )
        if others := run.ids.without(asked):
            raise UserError(f"{run.path} answers {others[0]!r}, which is no test record of {records}")


def read_histories(models: Sequence[Path], seeds: Sequence[int]) -> dict[int, list[Json]]:
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
