"""Training jobs for tests: plain settings, a tokenizer instead of a base model, and trainers on rows at hand."""

from pathlib import Path
from types import SimpleNamespace

from pipestill.job.halves import half
from pipestill.models.hardware import HardwarePlan
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import TrainingConfig
from pipestill.training.files import Outputs
from pipestill.training.job import Data, Job
from pipestill.training.state import TrainingState

PLAIN = dict(schedule="constant", warmup=0, max_grad_norm=1e9, adaptation="full")  # nothing but gradients times rate


def make_settings(method, options=None, **training) -> TrainingSettings:
    return TrainingSettings(
        method=method, options=options or {}, training=TrainingConfig(**training), hardware=HardwareConfig()
    )


def make_job(tmp_path, method, tokenizer, options, plan: HardwarePlan, inputs=None, **training) -> Job:
    settings = make_settings(method, options, **(PLAIN | training))
    state = TrainingState(tmp_path / f"state{len(list(tmp_path.glob('*')))}", {})
    job = Job(settings, inputs, plan, 5, state, SimpleNamespace(tokens=0, save=lambda: None))
    vars(job)["tokenizer"] = tokenizer  # instead of that of a base model
    return job


def make_trainer(job: Job, model, rows, held_out=None, data=Data, **more):
    """The trainer of a job, on rows that are at hand; ``more`` is what else its data have."""
    return half(job.objective, "train").trainer(job.objective, job, model, data(rows, held_out or rows, **more))


def outputs_in(directory: Path) -> Outputs:
    return Outputs(*(directory / name for name in ("state", "model", "cost.json", "memory.jsonl")))
