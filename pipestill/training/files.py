"""Files and directories of a training job."""

from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, sha256

MODELS = ("base", "init", "teacher_base", "teacher", "before")  # of the inputs, those that are directories


@dataclass(frozen=True)
class Inputs:
    """What it reads.

    Attributes:
        data: training rows, in the schema of the objective.
        validation: validation rows, in the same schema.
        base: directory of the base model.
        init: model directory of the SFT student to start from, if any.
        teacher_base: directory of the base model of a teacher that runs beside the student.
        teacher: its fine-tuned model, if it was fine-tuned here.
        distributions: manifest of the stored distributions of a teacher that does not.
        own_answers: what the student said to the prompts of the training rows before this part of its training.
        own_distributions: manifest of what the teacher finds likely in them.
        before: what the job that did the part before this one left.
    """

    data: Path
    validation: Path
    base: Path
    init: Path | None = None
    teacher_base: Path | None = None
    teacher: Path | None = None
    distributions: Path | None = None
    own_answers: Path | None = None
    own_distributions: Path | None = None
    before: Path | None = None

    def digests(self) -> dict[str, str]:
        """sha256 of each file, and of the list of checksums of each model.

        Raises:
            UserError: one of them is missing.
        """
        paths = {name: path for name, path in vars(self).items() if path is not None}
        paths = {name: path / SHA256SUMS if name in MODELS else path for name, path in paths.items()}
        for path in paths.values():
            if not path.is_file():
                raise UserError(f"{path} does not exist: make it first")
        return {name: sha256(path) for name, path in paths.items()}


@dataclass(frozen=True)
class Outputs:
    """What it writes.

    Attributes:
        state: directory that keeps the state of a killed job; beside ``model``, not inside.
        model: model directory, made in one step at the end; of a part of a training but the last, what the next one
            goes on from.
        cost: JSON file for the cost of all attempts.
        memory: JSON Lines file for the memory at each step.
    """

    state: Path
    model: Path
    cost: Path
    memory: Path
