"""What is done to a model before its training and after it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.io.records import Json
from pipestill.models.saving import save_model
from pipestill.training.job import Data, Job

if TYPE_CHECKING:
    from transformers import TrainerCallback


class Recipe:
    """Nothing but training; a subclass says what else is done.

    Attributes:
        trains: False: the model is not trained at all.
    """

    trains = True

    def identity(self) -> Json:
        """What defines it, for the fingerprint of the job."""
        return {}

    def start(self, model: Any, job: Job, data: Data) -> Any:
        """The model to train, made of the one that was loaded."""
        return model

    def callbacks(self, model: Any) -> "Sequence[TrainerCallback]":
        """What watches the training of ``model``, before its first step."""
        return ()

    def facts(self) -> Json:
        """Further files of the result, by name."""
        return {}

    def save(self, model: Any, tokenizer: Any, directory: Path, **facts: Json) -> None:
        """Write the result, as :func:`~pipestill.models.saving.save_model` does."""
        save_model(model, tokenizer, directory, **facts)


PLAIN = Recipe()
