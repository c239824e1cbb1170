"""METHODS: the ways to make a small model. The rules derive the DAG from this table; it imports no torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Method:
    """One way to train a student.

    Attributes:
        title: what tables and figures call it.
        summary: one sentence for the report and the documentation.
        training_file: which of ``results/data/<study>/*.jsonl`` it trains on; none for the untrained student.
        objective: the loss; ``cross_entropy`` on the answer's tokens, or ``dpo`` on preference pairs.
        teacher: whether the method uses the study's teacher. Without one, an ``optional`` method
            falls back to gold outputs, and every table says so.
    """

    title: str
    summary: str
    training_file: str | None = None
    objective: Literal["cross_entropy", "dpo"] | None = None
    teacher: Literal["unused", "optional", "required"] = "unused"

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.objective is not None


METHODS: dict[str, Method] = {
    "base": Method("Base", "The untrained student."),
    "sft": Method("SFT", "Supervised fine-tuning on gold outputs.", training_file="sft", objective="cross_entropy"),
    "kd": Method(
        "KD",
        "Sequence-level knowledge distillation: fine-tuning on what the teacher generates.",
        training_file="kd",
        objective="cross_entropy",
        teacher="optional",
    ),
    "dpo": Method(
        "DPO",
        "Direct preference optimisation: the gold output is preferred to a wrong one.",
        training_file="dpo",
        objective="dpo",
    ),
}

TEACHER = Method("Teacher", "The study's fine-tuned teacher.", training_file="teacher", objective="cross_entropy")


def method_of(name: str) -> Method:
    """The entry of an experiment's method; ``teacher`` has one too."""
    return TEACHER if name == "teacher" else METHODS[name]
