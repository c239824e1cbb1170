"""METHODS: the ways to make a small model. The rules derive the DAG from this table; it imports no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipestill.objectives.base import TEACHER, Objective, TeacherUse, TrainingFile
from pipestill.objectives.classification import Classification
from pipestill.objectives.context import ContextDistillation
from pipestill.objectives.cross_entropy import KD, CrossEntropy
from pipestill.objectives.divergence import Divergence
from pipestill.objectives.preference import Preference
from pipestill.objectives.stepwise import Stepwise
from pipestill.settings.training import TrainingConfig


@dataclass(frozen=True)
class Method:
    """One way to make a student.

    Attributes:
        title: name in tables and figures.
        summary: one sentence for the report and the documentation.
        objective: how it is trained; none for a model that is taken as it is.
        extract: which sentences of the input are the answer, where no model answers: a key of
            :data:`pipestill.inference.extractive.RANKINGS`.
        training: settings of the training that make it this method; a study's ``overrides`` may change them.
        in_context: solved training rows stand before each question.
    """

    title: str
    summary: str
    objective: Objective | None = None
    extract: str | None = None
    training: Mapping[str, object] = field(default_factory=dict)
    in_context: bool = False

    @property
    def trains(self) -> bool:
        """True if there is anything to train."""
        return self.objective is not None

    @property
    def model(self) -> bool:
        """True if a model answers."""
        return self.extract is None

    @property
    def teacher(self) -> TeacherUse:
        """Its use of the study's teacher; without one, ``optional`` falls back to gold outputs, and every
        table says so."""
        return self.objective.teacher if self.objective else "unused"


# What published methods that learn from own answers have in common: the teacher alone, as it is, beside the student.
ON_POLICY = {"teacher": "online", "kd_rate": 1.0, "temperature": 1.0}
METHODS: dict[str, Method] = {
    "base": Method("Base", "The untrained student."),
    "lead": Method("Lead", "The first sentences of the document, without a model.", extract="lead"),
    "textrank": Method("TextRank", "The most central sentences of the document, without a model.", extract="textrank"),
    "icl": Method(
        "ICL",
        "In-context learning: the untrained student reads solved training rows before each question.",
        in_context=True,
    ),
    "sft": Method("SFT", "Supervised fine-tuning on gold outputs.", CrossEntropy()),
    "kd": Method(
        "KD",
        "Sequence-level knowledge distillation: fine-tuning on what the teacher generates.",
        CrossEntropy(KD, teacher="optional"),
    ),
    "vanilla": Method("Classifier", "Fine-tuning with a new head for the labels in place of words.", Classification()),
    "bitfit": Method(
        "BitFit",
        "Supervised fine-tuning on gold outputs of nothing but the biases.",
        CrossEntropy(),
        training={"adaptation": "biases"},
    ),
    "dpo": Method("DPO", "Direct preference optimisation: the gold output is preferred to a wrong one.", Preference()),
    "stepwise": Method(
        "Step-by-step",
        "Distilling step-by-step: gold outputs and a larger model's rationales are learnt as two tasks.",
        Stepwise(),
    ),
    "fkl": Method(
        "FKL", "Forward Kullback-Leibler divergence: cover all that the teacher finds likely.", Divergence("fkl")
    ),
    "rkl": Method(
        "RKL", "Reverse Kullback-Leibler divergence: avoid all that the teacher finds unlikely.", Divergence("rkl")
    ),
    "jeffreys": Method("Jeffreys", "Forward plus reverse Kullback-Leibler divergence.", Divergence("jeffreys")),
    "symmetric": Method("Symmetric KL", "Weighted mean of forward and reverse divergence.", Divergence("symmetric")),
    "jsd": Method("JSD", "Jensen-Shannon divergence: both against their mixture.", Divergence("jsd")),
    "tvd": Method("TVD", "Total variation distance: half the absolute difference of probabilities.", Divergence("tvd")),
    "sfkl": Method(
        "SFKL", "Skewed forward divergence: the student is mixed with some of the teacher.", Divergence("sfkl")
    ),
    "srkl": Method(
        "SRKL", "Skewed reverse divergence: the teacher is mixed with some of the student.", Divergence("srkl")
    ),
    "akl": Method(
        "AKL", "Adaptive divergence: forward for the head, reverse for the tail, by their gaps.", Divergence("akl")
    ),
    "todi": Method(
        "ToDi", "Token-wise divergence: forward where the student is too low, else reverse.", Divergence("todi")
    ),
    "gkd": Method(
        "GKD",
        "Generalised knowledge distillation: Jensen-Shannon divergence, in half of the steps on own answers.",
        Divergence("jsd"),
        training={"divergence": ON_POLICY | {"on_policy": {"share": 0.5}}},
    ),
    "distillm": Method(
        "DistiLLM",
        "Skewed reverse divergence, on the student's own answers the more the validation loss rises; they are kept.",
        Divergence("srkl"),
        training={"divergence": ON_POLICY | {"on_policy": {"schedule": "adaptive", "buffer": 1000}}},
    ),
    "minillm": Method(
        "MiniLLM",
        "Reverse divergence at each token of the student's own answers (the single-step part of MiniLLM's gradient).",
        Divergence("rkl"),
        training={"divergence": ON_POLICY | {"on_policy": {"share": 1.0}}},
    ),
    "cd": Method(
        "Context distillation",
        "Context distillation: what the teacher answers with demonstrations, a hint or an instruction before the "
        "question is learnt without them.",
        ContextDistillation(),
    ),
    "ab": Method("AB", "Alpha-beta divergence: a family that forward and reverse are limits of.", Divergence("ab")),
    "uld": Method("ULD", "Sorted probabilities compared, for a teacher with another tokenizer.", Divergence("uld")),
}

OF_RECORDS = ("records", "cropped", "rationales", "challenge")  # files that lie beside training files
BASE, SFT, TEACHER_NAME, ANNOTATOR_NAME = "base", "sft", "teacher", "annotator"
TAUGHT = Method("Teacher", "The study's fine-tuned teacher.", CrossEntropy(TEACHER))
PRETRAINED_TEACHER = Method("Teacher", "The study's teacher, taken as it is.")
ANNOTATOR = Method("Annotator", "The model that writes rationales, fine-tuned on gold ones.", CrossEntropy())
ROLES = {TEACHER_NAME: TAUGHT, ANNOTATOR_NAME: ANNOTATOR}


def method_of(name: str) -> Method:
    """The entry of an experiment's method; ``teacher`` and ``annotator`` have one too, and any other name is that of a
    checkpoint."""
    entry = METHODS.get(name) or ROLES.get(name)
    return entry or Method(name, "A checkpoint from elsewhere, evaluated as it is.")


def check_objectives(methods: Iterable[Method]) -> None:
    """Refuse objectives that would write to one file, or read one section, of which each has its own.

    Raises:
        ValueError: names the file or the section.
    """
    files: dict[str, TrainingFile] = {}
    sections: dict[str, type[Objective]] = {}
    for objective in (method.objective for method in methods if method.objective):
        section = objective.section
        for file in objective.files:
            if file.name in OF_RECORDS or files.setdefault(file.name, file) != file:
                raise ValueError(
                    f"two kinds of rows would lie in `{file.name}.jsonl`; give a training file another name"
                )
        shared = section in TrainingConfig.model_fields
        if section and (shared or sections.setdefault(section, type(objective)) is not type(objective)):
            raise ValueError(f"`training.{section}` is not the section of one objective alone; give it another name")
