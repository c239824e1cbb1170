"""Compression around a training: pruning before, zeros and rounded weights meanwhile, quantisation after."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from pipestill.compression.masks import Masks
from pipestill.compression.pruning import Batch, prune
from pipestill.compression.quantising import convert, prepare_qat
from pipestill.compression.storing import save_quantized
from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import Json
from pipestill.job.versions import versions
from pipestill.models.lineage import is_adapter
from pipestill.models.rows import collate
from pipestill.plan.compressible import check
from pipestill.settings.compression import SPARSE
from pipestill.settings.jobs import CompressionSettings
from pipestill.training.job import Data, Job
from pipestill.training.recipe import Recipe

BATCH = 16  # rows that are read together to calibrate


class KeepZeros(TrainerCallback):
    """Sets pruned weights to zero again after each step, which an optimizer's moments move."""

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
        self.pruned: Json | None = None

    def identity(self) -> Json:
        """The settings, and the version of what quantises."""
        told = self.settings.model_dump(include={"prune", "quantize", "trains"})
        return {"compression": told, "quantised by": versions().get("torchao") if self.settings.quantize else None}

    def start(self, model: Any, job: Job, data: Data) -> Any:
        """The pruned model, which rounds its weights where it is trained for that."""
        settings = self.settings
        _refuse_packed(job.inputs.init)
        check(model.config.to_dict(), settings.prune, settings.quantize)  # of models that the dry run did not see
        if settings.prune:
            self.pruned = prune(model, settings.prune, calibration(job, data, settings.prune.calibration))
        if settings.trains and settings.quantize and settings.quantize.qat:
            prepare_qat(model, settings.quantize)
        return model

    def callbacks(self, model: Any) -> Sequence[TrainerCallback]:
        """Those that keep zeros."""
        prune = self.settings.prune
        masks = Masks(model) if prune and prune.kind in SPARSE else None
        return [KeepZeros(masks)] if masks else []

    def facts(self) -> Json:
        """What was done."""
        return {"compression.json": self.identity()["compression"] | {"pruned": self.pruned}}

    def save(self, model: Any, tokenizer: Any, directory: Path, **facts: Json) -> None:
        """Write the result, quantised if that is asked for."""
        if self.settings.quantize is None:
            super().save(model, tokenizer, directory, **facts)
            return
        convert(model.eval(), self.settings.quantize)
        save_quantized(model, tokenizer, directory, **facts)


def _refuse_packed(parent: Path | None) -> None:
    """Refuse an adapter that was trained on weights in 4 bits: merged into others it is another model."""
    if parent is None or not is_adapter(parent):
        return
    packing = read_json(parent / "hardware.json")["quantization"]
    if packing != "none":
        raise UserError(
            f"{parent} is an adapter on weights in 4 bits ({packing}), into which it cannot be merged exactly: train "
            "it with `hardware.quantization: none`, or with `adaptation: full`"
        )


def calibration(job: Job, data: Data, rows: int) -> list[Batch]:
    """Batches of the first training rows, on the model's device."""
    taken = data.rows[:rows]
    batches = (taken[start : start + BATCH] for start in range(0, len(taken), BATCH))
    return [
        {name: tensor.to(job.plan.device) for name, tensor in collate(batch, job.tokenizer.pad_token_id).items()}
        for batch in batches
    ]
