"""A training job: what its parts share, from the rows to the result."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.job.cost import CostMeter
from pipestill.job.processes import ALONE, Processes
from pipestill.methods import method_of
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import KINDS, Reading, read_config, reading
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import Row, RowEncoder
from pipestill.objectives.base import Objective
from pipestill.settings.jobs import TrainingSettings
from pipestill.settings.section import Section
from pipestill.training.files import Inputs
from pipestill.training.state import TrainingState

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Data:
    """Training and validation rows, as :mod:`pipestill.models.rows` encodes them."""

    rows: list[Row]
    validation: list[Row]


@dataclass(frozen=True)
class Job:
    """One training job.

    Attributes:
        settings: of the job.
        inputs: data and models.
        plan: hardware plan of the student.
        seed: of everything random.
        state: keeps a killed job's progress.
        cost: of all attempts so far.
        processes: that do it.
        divided: they divide the weights among them.
    """

    settings: TrainingSettings
    inputs: Inputs
    plan: HardwarePlan
    seed: int
    state: TrainingState
    cost: CostMeter
    processes: Processes = ALONE
    divided: bool = False

    @property
    def objective(self) -> Objective:
        """See :func:`objective_of`."""
        return objective_of(self.settings)

    @cached_property
    def options(self) -> Section:
        """Settings of the objective."""
        return self.objective.settings.model_validate(self.settings.options)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Of the student.

        Raises:
            UserError: it will be served, and has no chat template.
        """
        tokenizer = load_tokenizer(self.inputs.base)
        if self.settings.served and not tokenizer.chat_template:
            raise UserError(
                f"{self.inputs.base} has no chat template, which a model needs to be served for annotation: put a "
                "chat_template.jinja beside its tokenizer, or name another model in `annotation.model`"
            )
        return tokenizer

    @cached_property
    def reading(self) -> Reading:
        """How the student reads prompts and answers.

        Raises:
            UserError: the objective does not train models of the student's kind.
        """
        found, kinds = reading(read_config(self.inputs.base)), self.objective.model_kinds
        if found.kind not in kinds:
            trained = " and ".join(sorted(f"{KINDS[each].words}s" for each in kinds))
            raise UserError(
                f"`{self.settings.method}` trains {trained}, and the student is of the kind `{found.kind}`: use "
                "another method"
            )
        return found

    def encoder(self, tokenizer: "PreTrainedTokenizerBase", reads: Reading) -> RowEncoder:
        """Encodes the job's rows for the student, or for a teacher that reads them too."""
        return RowEncoder(tokenizer, self.settings.training.max_length, reads, self.settings.form)

    def read(self, reader: Callable[[Path, RowEncoder], list[Row]]) -> Data:
        """The rows of both files, read for the student."""
        encoder = self.encoder(self.tokenizer, self.reading)
        return Data(*(reader(path, encoder) for path in (self.inputs.data, self.inputs.validation)))


def objective_of(settings: TrainingSettings) -> Objective:
    """What a job trains.

    Raises:
        UserError: its method does not train.
    """
    objective = method_of(settings.method).objective
    if objective is None:
        raise UserError(f"`{settings.method}` does not train a model: name another method")
    return objective
