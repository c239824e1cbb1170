"""A trained model that ranks the labels of a task, and what defines what it says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipestill.inference.ranking import score_labels
from pipestill.io.files import SHA256SUMS, sha256
from pipestill.job.cost import CostMeter
from pipestill.job.progress import Progress
from pipestill.job.row_log import RowLog
from pipestill.job.versions import versions
from pipestill.models.hardware import HardwarePlan, apply, plan_here
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.prompts import PromptEncoder, encode_label
from pipestill.settings.jobs import ScoringSettings


def prepare_hardware(settings: ScoringSettings, threads: int) -> HardwarePlan:
    """Plan as the runs were trained, and set torch up accordingly."""
    plan = plan_here(settings.hardware, settings.adaptation, threads)
    apply(plan)
    return plan


def fingerprint(settings: ScoringSettings, plan: HardwarePlan, data: Path, models: list[Path]) -> dict[str, Any]:
    """What defines a model's scores and answers. Threads are left out, for they change no more than rounding.

    So is the calibration, which is computed from scores, and what concerns later inputs. So are sampling seeds, for
    they stand in the keys of answers.
    """
    return {
        "settings": settings.model_dump(
            exclude={
                **dict.fromkeys(("calibration", "max_chars", "crop", "template"), True),
                "generation": {"sampling_seeds"},
            }
        ),
        "hardware": [plan.device, plan.precision, plan.quantization],
        "data": sha256(data),
        "models": [sha256(model / SHA256SUMS) for model in models],
        "versions": versions(),
    }


def load_run(base: Path, model: Path | None, plan: HardwarePlan) -> tuple[Any, Any]:
    """Model and tokenizer of a trained run, or of the base model when ``model`` is none."""
    loaded = load_base_model(base, plan) if model is None else load_trained_model(model, base, plan)
    return loaded.eval(), load_tokenizer(base if model is None else model)


@dataclass(frozen=True)
class Scorer:
    """A model that ranks the labels of a task; what it scores is kept in a :class:`RowLog` as it goes.

    Attributes:
        max_prompt_tokens: longer prompts lose the end of their text.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_prompt_tokens: int

    def score(self, prompts: dict[str, str], log: RowLog, cost: CostMeter, label: str) -> None:
        """Score ``prompts`` (key to text) into ``log``, and what it costs into ``cost``."""
        keys = list(prompts)
        encoder = PromptEncoder(self.tokenizer)
        encoded = [encoder(prompts[key], self.max_prompt_tokens) for key in keys]
        encoder.report(label)
        label_ids = [encode_label(self.tokenizer, name) for name in self.labels]
        done = {index for index, key in enumerate(keys) if key in log.rows}
        progress = Progress(len(keys), "prompts", label, done=len(done))
        for indices, scores in score_labels(self.model, encoded, label_ids, done=done):
            log.append(
                (keys[index], {"raw": list(map(float, raw)), "label_mass": float(mass)})
                for index, raw, mass in zip(indices, scores.mean_log_prob, scores.label_mass, strict=True)
            )
            cost.tokens += sum(len(encoded[index]) for index in indices)
            cost.save()
            progress.update(len(indices))
