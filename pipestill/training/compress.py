"""Compression around a training: pruning before, zeros and fake quantisation meanwhile, quantisation after."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from pipestill.compression.pruning import Masks, prune
from pipestill.compression.quantizing import prepare_qat
from pipestill.io.records import Json
from pipestill.models.rows import collate
from pipestill.settings.jobs import CompressionSettings
from pipestill.training.job import Data, Job
from pipestill.training.recipe import Recipe

CALIBRATED_ON = 64  # training rows, by whose activations weights and channels are chosen
BATCH = 16  # of them


class KeepZeros(TrainerCallback):
    """Puts weights that were pruned back to zero after each step: an optimizer's momentum moves them."""

    def __init__(self, masks: Masks):
        self.masks = masks

    def on_optimizer_step(self, args, state, control, **kwargs):
        """Apply the masks."""
        self.masks.apply()


class Compression(Recipe):
    """Pruning, and quantisation of what is left.

    Args:
        settings: of the job.
    """

    def __init__(self, settings: CompressionSettings):
        self.settings, self.trains = settings, settings.trains
        self.masks: Masks | None = None

    def identity(self) -> Json:
        """The settings."""
        return {"compression": self.settings.model_dump(include={"prune", "quantize", "trains"})}

    def start(self, model: Any, job: Job, data: Data) -> Any:
        """The pruned model, with fake quantisation where it is to be trained so."""
        settings = self.settings
        if settings.prune:
            model = prune(model, job.tokenizer, settings.prune, calibration(job, data))
            self.masks = Masks(model)
        if settings.trains and settings.quantize and settings.quantize.qat:
            model = prepare_qat(model, settings.quantize)
        return model

    def callbacks(self) -> Sequence[TrainerCallback]:
        """Those that keep zeros."""
        return [KeepZeros(self.masks)] if self.masks else []

    def facts(self) -> Json:
        """What was done."""
        return {"compression.json": self.identity()["compression"]}

    def writer(self, model: Any) -> Callable[[Path], None] | None:
        """Writes packed weights, where they are quantised."""
        return None


def calibration(job: Job, data: Data) -> list[dict[str, Any]]:
    """Batches of the first training rows, on the model's device."""
    rows = data.rows[:CALIBRATED_ON]
    batches = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    return [
        {name: tensor.to(job.plan.device) for name, tensor in collate(batch, job.tokenizer.pad_token_id).items()}
        for batch in batches
    ]
