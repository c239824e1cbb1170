"""Training by TRL's direct preference optimisation, on the tokens that cross-entropy and label ranking see."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
import trl.trainer.utils
from datasets import Dataset
from safetensors.torch import load_file, save_file
from trl import DPOConfig, DPOTrainer

from pipestill.io.files import atomic_path
from pipestill.job.progress import Progress
from pipestill.models.rows import Row, read_pairs
from pipestill.objectives.preference import Preference
from pipestill.training.arguments import trainer_arguments
from pipestill.training.job import Data, Job
from pipestill.training.resumable import EVALUATION_FACTOR, Batch, ResumableTrainer
from pipestill.training.sampler import batches_by_length

# TRL scores answers only where it has a Triton kernel, and every position of the sequence elsewhere. The switch that
# its forward asks is this name; the kernel itself, in another module, still chooses by the device.
trl.trainer.utils._use_triton = lambda device: True


def read(objective: Preference, job: Job) -> Data:
    """Pairs of answers."""
    return job.read(read_pairs)


def trainer(objective: Preference, job: Job, model: Any, data: Data) -> "PreferenceTrainer":
    """The trainer of a job."""
    make = partial(DPOConfig, beta=job.options.beta, max_length=None, precompute_ref_log_probs=True)
    tables = Data(Dataset.from_list(data.rows), Dataset.from_list(data.validation))
    return PreferenceTrainer(**trainer_arguments(job, model, tables, make), processing_class=job.tokenizer)


class PreferenceTrainer(ResumableTrainer, DPOTrainer):
    """TRL's trainer on rows ``{"prompt_ids", "chosen_ids", "rejected_ids"}``.

    The reference is the model before the first step: without its adapter, or with its first weights. Its
    log-probabilities are computed once and kept in the training state, so that no second model is held.
    """

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        for tensor in self.model.parameters():
            if (
                tensor.requires_grad and tensor.dtype != torch.float32
            ):  # TRL holds the adapters of a quantised model in bf16, where small steps vanish
                tensor.data = tensor.data.float()

    @staticmethod
    def row_length(row: Row) -> int:
        """Tokens of the longer of the two sequences."""
        return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))

    def loss_sum(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """TRL's loss of a pair, summed over pairs."""
        loss = self._compute_loss(model, batch, return_outputs=False)
        for metrics in self._metrics.values():  # TRL gathers these for a log of its own
            metrics.clear()
        return loss * self.count_items(batch)

    def count_items(self, batch: Batch) -> int:
        """Pairs."""
        return len(batch["input_ids"]) // 2

    def _prepare_dataset(self, dataset: Any, *unused: Any) -> list[Row]:
        return dataset.to_list()  # tokenised already

    def _precompute_ref_logps(self, dataset: list[Row], name: str, batch_size: int) -> list[Row]:
        """Rows with the reference's log-probabilities; TRL would cache them by a digest of all weights."""
        if "ref" in getattr(self.model, "peft_config", ()):
            self.model.delete_adapter("ref")  # a copy that TRL makes of a fresh adapter, which changes nothing
        self.divide()
        path = self.job_state.directory / "reference" / f"{name}.safetensors"
        if not self.processes.lead(path.is_file):
            sums = self._reference(dataset, name)
            self.processes.lead(lambda: _keep(sums, path))
        columns = {f"ref_{side}_logps": values.tolist() for side, values in load_file(path).items()}
        return [row | {key: values[index] for key, values in columns.items()} for index, row in enumerate(dataset)]

    def _reference(self, dataset: list[Row], name: str) -> dict[str, torch.Tensor]:
        self.model.eval()
        sums = {side: torch.zeros(len(dataset)) for side in ("chosen", "rejected")}
        lengths = [self.row_length(row) for row in dataset]
        batches = self.own_batches(batches_by_length(lengths, EVALUATION_FACTOR * self.batches.batch_size))
        progress = Progress(sum(map(len, batches)), "pairs", f"reference log-probabilities ({name})")
        for indices in batches:
            batch = self._prepare_inputs(self.data_collator([dataset[index] for index in indices or [0]]))
            found = self.within(partial(self.compute_ref_log_probs, self.model, batch))
            if not indices:
                continue
            chosen, rejected = found
            sums["chosen"][indices], sums["rejected"][indices] = chosen.float().cpu(), rejected.float().cpu()
            if self.processes.first:
                progress.update(len(indices))
        self.processes.add_up(list(sums.values()))
        return sums

    def _send_telemetry(self) -> None:
        """TRL reports its use to its makers; we do not."""


def _keep(sums: dict[str, torch.Tensor], path: Path) -> None:
    with atomic_path(path) as temporary:
        save_file(sums, temporary)
