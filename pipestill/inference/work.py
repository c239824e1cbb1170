"""What a job that asks a model keeps, so that a killed one is resumed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipestill.io.files import SHA256SUMS, sha256
from pipestill.io.records import Json
from pipestill.job.cost import CostMeter
from pipestill.job.engines import engine_of
from pipestill.job.row_log import RowLog
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan
from pipestill.settings.jobs import ScoringSettings
from pipestill.tasks import task_of

PART = 1 << 15  # rows
T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """The work of asking one model.

    Attributes:
        state: directory that keeps finished rows from one attempt to the next.
        cost: of the job so far.
        label: what progress lines say.
    """

    state: Path
    cost: CostMeter
    label: str

    def parts(self, rows: Sequence[T]) -> Iterator[tuple["Work", list[T]]]:
        """The work on ``rows``, of which ``PART`` are in memory at a time; parts keep finished rows of their own."""
        starts = range(0, len(rows), PART)
        for number, start in enumerate(starts, 1):
            own = self
            if len(starts) > 1:
                label = f"{self.label}, part {number}/{len(starts)}"
                own = replace(self, state=self.state / f"part_{number}", label=label)
                own.state.mkdir(exist_ok=True)
            yield own, list(rows[start : start + PART])

    def log(self, name: str) -> RowLog:
        """The finished rows called ``name``."""
        return RowLog(self.state / f"{name}.jsonl")


def fingerprint(settings: ScoringSettings, plan: HardwarePlan, data: Path, models: list[Path]) -> Json:
    """What defines a model's scores and answers; threads are left out, for they change no more than rounding.

    So is what is computed from scores and answers, or stands in their keys, and what concerns later inputs.
    """
    unasked = task_of(settings.asking).answers.Options.unasked
    return {
        "settings": settings.model_dump(exclude={"data": True, "splitter": True, "asking": {"answers": unasked}}),
        "hardware": [plan.device, plan.precision, plan.quantization],
        "data": sha256(data),
        "models": [sha256(model / SHA256SUMS) for model in models],
        "versions": versions() | engine_of(settings.engine).versions(),
    }
