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
        objective: the loss; ``cross_entropy`` on the answer's tokens, ``dpo`` on preference pairs, ``divergence`` from
            the teacher's distributions, mixed with cross-entropy, or ``stepwise``: cross-entropies on the tokens of
            answers and of rationales.
        divergence: which, for the objective ``divergence``: a kind of :mod:`pipestill.losses.kinds`, or ``uld``.
        teacher: whether the method uses the study's teacher. Without one, an ``optional`` method
            falls back to gold outputs, and every table says so.
        model: whether a model answers; otherwise the answers are sentences of the documents, see
            :mod:`pipestill.inference.extractive`.
    """

    title: str
    summary: str
    training_file: str | None = None
    objective: Literal["cross_entropy", "dpo", "divergence", "stepwise"] | None = None
    divergence: str | None = None
    teacher: Literal["unused", "optional", "required"] = "unused"
    model: bool = True

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.objective is not None


def _divergence(kind: str, title: str, summary: str) -> Method:
    return Method(title, summary, "sft", "divergence", divergence=kind, teacher="required")


METHODS: dict[str, Method] = {
    "base": Method("Base", "The untrained student."),
    "lead": Method("Lead", "The first sentences of the document, without a model.", model=False),
    "textrank": Method("TextRank", "The most central sentences of the document, without a model.", model=False),
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
    "stepwise": Method(
        "Step-by-step",
        "Distilling step-by-step: gold outputs and a larger model's rationales are learnt as two tasks.",
        training_file="stepwise",
        objective="stepwise",
    ),
    "fkl": _divergence("fkl", "FKL", "Forward Kullback-Leibler divergence: cover all that the teacher finds likely."),
    "rkl": _divergence("rkl", "RKL", "Reverse Kullback-Leibler divergence: avoid all that the teacher finds unlikely."),
    "jeffreys": _divergence("jeffreys", "Jeffreys", "Forward plus reverse Kullback-Leibler divergence."),
    "symmetric": _divergence("symmetric", "Symmetric KL", "Weighted mean of forward and reverse divergence."),
    "jsd": _divergence("jsd", "JSD", "Jensen-Shannon divergence: both against their mixture."),
    "tvd": _divergence("tvd", "TVD", "Total variation distance: half the absolute difference of probabilities."),
    "sfkl": _divergence("sfkl", "SFKL", "Skewed forward divergence: the student is mixed with some of the teacher."),
    "srkl": _divergence("srkl", "SRKL", "Skewed reverse divergence: the teacher is mixed with some of the student."),
    "akl": _divergence("akl", "AKL", "Adaptive divergence: forward for the head, reverse for the tail, by their gaps."),
    "todi": _divergence("todi", "ToDi", "Token-wise divergence: forward where the student is too low, else reverse."),
    "ab": _divergence("ab", "AB", "Alpha-beta divergence: a family that forward and reverse are limits of."),
    "uld": _divergence("uld", "ULD", "Sorted probabilities compared, for a teacher with another tokenizer."),
}

TEACHER = Method("Teacher", "The study's fine-tuned teacher.", training_file="teacher", objective="cross_entropy")
PRETRAINED_TEACHER = Method("Teacher", "The study's teacher, taken as it is.")


def method_of(name: str) -> Method:
    """The entry of an experiment's method; ``teacher`` has one too, and any other name is that of a checkpoint."""
    if name == "teacher":
        return TEACHER
    return METHODS.get(name) or Method(name, "A checkpoint from elsewhere, evaluated as it is.")
