"""What a job that asks a model keeps, so that a killed one is resumed."""

from dataclasses import dataclass
from pathlib import Path

from pipestill.io.files import SHA256SUMS, sha256
from pipestill.io.records import Json
from pipestill.job.cost import CostMeter
from pipestill.job.engines import engine_of
from pipestill.job.row_log import RowLog
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan
from pipestill.settings.jobs import ScoringSettings
from pipestill.tasks import task_of


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
