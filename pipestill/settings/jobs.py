"""Settings of jobs, given by their rules."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.io.records import Json
from pipestill.settings.compression import Prune, Quantize
from pipestill.settings.contexts import InContextSettings, TeacherContext
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import Engine, HardwareConfig
from pipestill.settings.on_policy import OwnSampling
from pipestill.settings.prompts import Form, Prompt
from pipestill.settings.samples import Keep
from pipestill.settings.section import Count, NonzeroShare, Section, Seed, Share
from pipestill.settings.tasks import OfTask
from pipestill.settings.training import Adaptation, TrainingConfig
from pipestill.text.sentences import Splitter

OnLongAnswer = Literal["stop", "drop", "crop"]


class TrainingFileSettings(OfTask):
    """Settings of a job that writes a training file."""

    method: str
    """Method whose objective makes the rows: a key of METHODS, or `teacher`."""
    rows: Count | None = None
    """Rows at most, equal per class where there are classes."""
    share: NonzeroShare = 1.0
    """Share of these rows that is taken."""
    seed: Seed
    """Seed of the draw."""
    allow_missing: Share = 0.0
    """Share of the records that may have no rationale."""
    data: Json = {}
    """Options of the task's layout, for the length of rationales."""
    splitter: Splitter = "sentencex"
    """Splitter of their sentences."""
    prompt: Prompt
    """The prompt of each record."""
    max_length: Count | None = None
    """Tokens of prompt and answer together in the training on these rows; none: nothing is trained on them."""
    explained: bool = False
    """Rationale and answer are learnt as one text."""
    on_long_answer: OnLongAnswer = "stop"
    """Treatment of answers that leave no room for a prompt."""
    context: TeacherContext | None = None
    """Context that the teacher reads before the question of each row, if it reads one."""
    unlabelled: Count | None = None
    """Prompts without gold outputs at most, of those that there are."""
    keep: Keep | None = None
    """The teacher's answers that are learnt, each in a row of its own; none: the likeliest one, whatever it is."""
    answers: Json = {}
    """Options of the task's kind of answers that its rows depend on."""


class UnlabelledSettings(OfTask):
    """Settings of a job that takes prompts without gold outputs."""

    rows: Count | None = None
    """Prompts at most; all when absent."""
    file: str | None = None
    """File of inputs; none: they are those of the training rows that no student has the gold output of."""
    seed: Seed
    """Seed of the draw."""
    data: Json = {}
    """Options of the task's layout, by which inputs of a file are read and cropped."""
    splitter: Splitter = "sentencex"
    """Splitter of their sentences."""
    prompt: Prompt
    """The prompt of each."""


class Asking(OfTask):
    """Settings of the questions to a model."""

    prompt: Prompt
    """The prompt of each record."""
    max_prompt_tokens: Count
    """Longer prompts lose the end of their text."""
    max_new_tokens: Count
    """Tokens at which an answer without an end is cut, including a rationale before it."""
    rationale_tokens: Annotated[int, Field(ge=0, le=2**22)] = 0
    """Those of `max_new_tokens` for a rationale and a marker before each answer; 0: answers have no rationale."""
    answers: Json = {}
    """Options of the task's kind of answers."""


class ModelSettings(Section):
    """Settings of a job that loads a model."""

    adaptation: Adaptation
    """Adaptation in the model's training; the hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""


class ScoringSettings(ModelSettings):
    """Settings of a job that asks a model."""

    asking: Asking
    """The questions."""
    engine: Engine = "transformers"
    """What runs the model."""
    code: str
    """Digest of the code: the state of other code is not resumed."""


class OutputSettings(ScoringSettings):
    """Settings of a job in which a model answers the prompts of students."""

    drawing: GenerationConfig | None = None
    """Draw of further answers beside the likeliest, one a seed; none: there are no further ones."""


class ContextOutputSettings(ScoringSettings):
    """Settings of a job in which a teacher answers training rows with a context."""

    rows: TrainingFileSettings
    """Settings of the job that writes the training file, whose questions it answers."""


class PredictionSettings(ScoringSettings):
    """Settings of a prediction job."""

    data: Json
    """Options of the task's layout: inputs by hand are cropped like the records."""
    splitter: Splitter = "sentencex"
    """Splitter of the sentences of such inputs."""
    context: InContextSettings | None = None
    """Context before each question; none: there is none."""


class PredictionJob(Section):
    """Record of a prediction job, for predictions by hand in the same way; paths are relative to its output."""

    settings: PredictionSettings
    """Settings of the job."""
    base: str
    """Directory of the base model."""
    runs: dict[int, str | None]
    """Model directory of each run by seed; none stands for the base model."""
    crop_tokenizer: str | None = None
    """The `tokenizer.json` whose tokens cropping counts; none: it counts characters."""
    weights: dict[int, str] = {}
    """Digest of the list of files of each run's model by seed, by which a model that was trained again is told."""


class TrainingSettings(Section):
    """Settings of a training job."""

    method: str
    """Method whose objective is trained: a key of METHODS, `teacher` or `annotator`."""
    objective: Json = {}
    """Facts about its objective; one that changes makes the job another one."""
    options: Json = {}
    """Options of the objective."""
    training: TrainingConfig
    """Settings of the training."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    prompt: Prompt | None = None
    """The prompt of its rows; none: messages of another kind, such as an annotator's, each a chat turn."""
    labels: dict[str, str] = {}
    """Answers in training rows by label, where the student gets a head for labels; none: it is a language model."""
    teacher_adaptation: Adaptation | None = None
    """Adaptation in the training of a teacher that runs beside the student; its hardware plan depends on it."""
    rationale_tokens: Annotated[int, Field(ge=0, le=2**22)] = 0
    """Tokens for a rationale and a marker before each generated answer; 0: answers have no rationale."""
    selection: Asking | None = None
    """Questions to candidates about validation prompts, for `select: metric`."""
    part: Count = 1
    """Number of this job among those that the training is divided among; all but the last end with what the next one
    goes on from."""
    parts: Count = 1
    """How many there are; each has as many steps."""
    served: bool = False
    """The model will be served as a chat, which takes a chat template."""
    code: str = ""
    """Digest of the code: the state of other code is not resumed."""

    @property
    def form(self) -> Form:
        """The form of its prompts."""
        return self.prompt.form if self.prompt else Form()


class OwnAnswersSettings(Section):
    """Settings of a job in which a student answers prompts of its training rows, before it learns from that."""

    training: TrainingConfig
    """Settings of its training, those that its form and the rows of each step depend on."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    form: Form = Form()
    """The form of the prompts."""
    part: Count
    """Number of the part of the training that learns from the answers."""
    parts: Count
    """How many parts it has."""
    share: Share
    """Share of the steps that do; 1 where it is decided in the course of the training."""
    sampling: OwnSampling
    """Draw of the answers."""
    code: str
    """Digest of the code: the state of other code is not resumed."""


class CompressionSettings(Section):
    """Settings of a job that makes a compressed student of another one."""

    prune: Prune | None = None
    """What is taken out."""
    quantize: Quantize | None = None
    """Number format of the weights."""
    trains: bool
    """What is left is trained, before it is quantised."""
    training: TrainingSettings
    """That training; where there is none, how rows are read to calibrate on."""
