"""The weights that a result is chosen from: those of the evaluations with the lowest validation loss."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.io.files import fresh_directory, read_json, verify_sha256sums, write_json, write_sha256sums
from pipestill.job.state import drop
from pipestill.training.state import is_complete
from pipestill.training.weights import WEIGHTS

if TYPE_CHECKING:
    import torch

CANDIDATES = "candidates"  # in the training state
EVALUATION = "evaluation.json"


class Candidates:
    """At most ``limit`` sets of weights in ``directory``, a part of the training state.

    A resumed run meets candidates of steps that it has yet to repeat. It offers the same weights and losses again, so
    the same ones remain.
    """

    def __init__(self, directory: Path, limit: int):
        self.directory = Path(directory)
        self.limit = limit

    def are_whole(self) -> bool:
        """Whether those of earlier attempts are as they were kept; damaged ones are named and dropped."""
        damaged = [path for path in self._paths() if not is_complete(path)]
        for path in damaged:
            drop(path)
        return not damaged

    def losses(self) -> dict[int, float]:
        """Validation loss by step, the lowest first; of equal ones the earlier."""
        found = {int(path.name): read_json(path / EVALUATION)["eval_loss"] for path in self._paths()}
        return {step: found[step] for step in _ranked(found)[: self.limit]}

    def offer(self, step: int, loss: float, weights: Mapping[str, "torch.Tensor"]) -> None:
        """Keep ``weights`` if their loss is among the lowest, and drop those that are no longer."""
        from safetensors.torch import save_file

        losses = self.losses() | {step: loss}
        kept = _ranked(losses)[: self.limit]
        if step in kept:
            with fresh_directory(self.path(step)) as directory:
                save_file(dict(weights), directory / WEIGHTS)
                write_json(directory / EVALUATION, {"eval_loss": loss})
                write_sha256sums(directory)
        for other in losses.keys() - kept:
            shutil.rmtree(self.path(other), ignore_errors=True)

    def load(self, step: int) -> dict[str, "torch.Tensor"]:
        """The weights of a candidate.

        Raises:
            UserError: they are damaged.
        """
        from safetensors.torch import load_file

        try:
            verify_sha256sums(self.path(step))
        except UserError as error:
            raise UserError(f"{error}, or train again without {self.directory.parent}") from None
        return load_file(self.path(step) / WEIGHTS)

    def _paths(self) -> list[Path]:
        return [path for path in self.directory.glob("*") if path.name.isdigit()]

    def path(self, step: int) -> Path:
        """Directory of a candidate."""
        return self.directory / f"{step:08}"


def _ranked(losses: Mapping[int, float]) -> list[int]:
    return sorted(losses, key=lambda step: (losses[step], step))
