"""Preference optimisation: the gold output is preferred to a worse one (DPO, by TRL's trainer)."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipestill.answers.base import Answers
from pipestill.io.records import Json, Record
from pipestill.objectives.base import OUTPUTS, OWN_OUTPUTS, Objective, Sources, TrainingFile
from pipestill.settings.models import ModelKind
from pipestill.settings.section import Section

MISTAKES = {"random": frozenset(), "confusable": frozenset({OUTPUTS}), "own": frozenset({OWN_OUTPUTS})}


class PreferenceOptions(Section):
    """Direct preference optimisation."""

    reruns: ClassVar = {"*": "train", "rejected": "training_file"}

    beta: Annotated[float, Field(ge=1e-4, le=100)] = 0.1
    """Strength of the pull towards the reference model."""
    rejected: Literal["random", "own", "confusable"] = "random"
    """The rejected answer. `random`: any wrong one, such as another label or a changed gold output. `confusable`: the
    teacher's mistake: the wrong label that it finds most likely, or what it writes, if that is wrong. `own`: the
    mistake of the student that SFT trained with the first seed."""


def preference_row(record: Record, sources: Sources) -> Json:
    """``{"id", "prompt", "chosen", "rejected"}``: the gold output against a worse one."""
    rng = Random(f"rejected {sources.seed} {record.id}")
    rejected = sources.lessons.rejected(record, sources.said(record), rng)
    chosen, rejected = map(sources.answer, (record.target, rejected))
    return {"id": record.id, "prompt": sources.asked(record), "chosen": chosen, "rejected": rejected}


DPO = TrainingFile("dpo", preference_row, judged=True)


@dataclass(frozen=True)
class Preference(Objective):
    """DPO (Rafailov et al. 2023)."""

    file: TrainingFile = DPO

    section: ClassVar = "preference"
    Options: ClassVar = PreferenceOptions
    model_kinds: ClassVar[frozenset[ModelKind]] = frozenset({"causal"})
    libraries: ClassVar[tuple[str, ...]] = ("datasets",)

    def sources(self, options: PreferenceOptions) -> frozenset[str]:
        """Outputs whose mistakes are rejected."""
        return MISTAKES[options.rejected]

    def learnt(self, row: Json, explained: bool) -> dict[str, str]:
        """Both answers."""
        return {name: row[name] for name in ("chosen", "rejected")}

    def lacks(self, answers: Answers) -> str | None:
        """Wrong answers, where there are none."""
        return None if answers.can("rejected") else "wrong answers to reject"
