"""The whole configuration: its sections, but for those that jobs are told or that a task or an objective has."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, field_validator, model_validator

from pipestill.answers.kinds import KINDS
from pipestill.io.records import Json
from pipestill.layouts.documents import DocumentFile
from pipestill.methods import METHODS
from pipestill.plan.compress import CompressConfig
from pipestill.settings.annotation import AnnotationConfig
from pipestill.settings.contexts import InContextConfig
from pipestill.settings.distributions import OPTIONS, Stored
from pipestill.settings.evaluation import StatisticsConfig
from pipestill.settings.jobs import OnLongAnswer
from pipestill.settings.models import BaseModelConfig, Engine, HardwareConfig, HardwareOverride
from pipestill.settings.places import LocalPath
from pipestill.settings.prompts import Prompt
from pipestill.settings.samples import SamplesConfig
from pipestill.settings.section import (
    LONGEST_NAME,
    Count,
    Distinct,
    Name,
    NonzeroShare,
    Section,
    Seed,
    Title,
    Word,
    partial,
)
from pipestill.settings.tasks import Declared
from pipestill.settings.training import TrainingConfig
from pipestill.tasks import Task, find_task
from pipestill.text.sentences import Splitter

Gap = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=LONGEST_NAME)]
Prompts = Annotated[int, Field(ge=0, le=10**9)]
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=1000), Distinct]


def percent(share: float) -> str:
    """A share in percent, as names of studies and notes have it."""
    return f"{100 * share:.10g}"


OBJECTIVES = {  # settings of objectives, by section
    method.objective.section: type(method.objective).Options
    for method in METHODS.values()
    if method.objective and method.objective.section
}
Training = create_model(
    "Training",
    __base__=TrainingConfig,
    __doc__="Settings of training; each objective has a section of its own.",
    **{
        name: (options, Field(options(), description=f"Settings of the objective `{name}`."))
        for name, options in OBJECTIVES.items()
    },
)
TrainingOverride = partial(Training)


class TaskConfig(Section):
    """Data of a task, its prompt and its rationales."""

    reruns: ClassVar = {
        "prompt": "prompts",
        "splitter": "prompts challenge",
        "answers": "records",
        "inputs": "records",
    }

    answers: Any = None
    """Answers of a task that is declared here: keys depend on their `kind`; none for the project's own tasks."""
    inputs: Annotated[list[Gap], Field(min_length=1, max_length=20), Distinct] | None = None
    """Inputs of such a task, which are gaps of its prompts and columns of its rows; when absent, the gaps of a `prompt`
    that is a wording, or else one that its kind of answers names."""
    data: Any = {}
    """Data of the task: keys depend on its layout. Those of a task that is declared here may stand beside its
    `answers`."""
    prompt: Word = "answer"
    """Prompt of the task: `answer`, or another one of the task's or of `prompts`, such as `alpaca`; or a wording with
    gaps, which becomes the prompt `answer`."""
    prompts: dict[Name, Prompt] = {}
    """Prompts by name beside those of the task; one of the same name takes its place."""
    splitter: Splitter = "sentencex"
    """Splitter of sentences: `sentencex`, or `punkt`, for which nltk's data `punkt_tab` must be on the machine."""
    annotation: AnnotationConfig | None = None
    """Source of rationales, for methods that learn from them."""

    @property
    def declared(self) -> Declared | None:
        """What jobs are told of a task that is declared here; none of the project's own."""
        if self.answers is None:
            return None
        inputs = self.inputs or list(KINDS[self.answers.kind].asked)
        return Declared(kind=self.answers.kind, answers=self.answers.told(), inputs=inputs)


class DistributionsConfig(Section):
    """The cache of the teacher's distributions (logits), for `divergence.teacher: cached`."""

    reruns: ClassVar = {"*": "teacher_distributions_shard"}

    codec: Literal["full", "topk", "sample", "labels"] = "topk"
    """`full`: every log-probability, exact, for small runs; `topk`: the `k` likeliest tokens and the mass of the
    others; `sample`: `draws` tokens drawn from the distribution, unbiased only for fkl; `labels`: the classes of a task
    whose answers are labels, at the first token of an answer, from a teacher with any tokens."""
    k: Stored = 50
    """Tokens that `topk` keeps."""
    draws: Stored = 50
    """Draws of `sample`."""
    rest_bucket: bool = False
    """One more outcome of `labels`, for all other tokens together; without it the divergence is between the labels
    alone, and only cross-entropy says how likely they are."""
    shards: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Jobs that the work is divided among."""

    @property
    def over_classes(self) -> bool:
        """True if it holds distributions over a task's labels, not over tokens."""
        return "labels" in OPTIONS[self.codec]

    def told(self) -> Json:
        """The codec, and the options that it has."""
        return self.model_dump(include={"codec", *OPTIONS[self.codec]})


class CheckpointConfig(Section):
    """A model that is evaluated beside a study's students, and not trained here."""

    reruns: ClassVar = {"path": "checkpoint", "base": "checkpoint", "model": "predict"}

    path: LocalPath | None = None
    """Directory of full weights, of a PEFT adapter, or of a model that was trained here; or give `model`."""
    base: Name | None = None
    """The key of `models` that an adapter belongs to; the study's student when absent."""
    model: Name | None = None
    """A key of `models`, such as a published model of the hub."""

    @model_validator(mode="after")
    def _one_origin(self):
        if (self.path is None) == (self.model is None):
            raise ValueError("give either `path` or `model`")
        if self.model is not None and self.base is not None:
            raise ValueError("`base` is for an adapter at `path`; remove it")
        return self


class VariantConfig(Section):
    """Further rows of a study, `<method>-<variant>`: models that it has, asked in another way."""

    reruns: ClassVar = {"*": "predict"}

    methods: Annotated[list[Word], Field(min_length=1), Distinct] | None = None
    """Methods, checkpoints or `teacher` whose models are asked; all that have one when absent."""
    prompt: Word | None = None
    """Prompt, where it differs from the study's."""
    answers: dict[str, Any] = {}
    """Overrides of the study's `answers`."""


class SubmissionConfig(Section):
    """Submission to a challenge, for a task that has one."""

    reruns: ClassVar = {"team": "submission", "documents": "challenge"}

    team: str = Field("team", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)
    """Name of the team."""
    documents: dict[Name, DocumentFile] = {}
    """Archives or folders of the documents to summarise; the study's own test documents when absent."""


class UnlabelledConfig(Section):
    """Prompts without gold outputs, which the teacher or the annotation answers: further training rows of the methods
    that learn from these."""

    reruns: ClassVar = {"*": "unlabelled training_file", "curve": "training_file", "sft_curve": "training_file"}

    rows: Count | None = None
    """Prompts at most; when absent, all of the `file`, or none."""
    file: LocalPath | None = None
    """File of inputs, a column for each input of the task; when absent, `rows` are of the training split, those that
    `train_rows` leaves: their gold outputs are not looked at."""

    curve: Annotated[list[Prompts], Field(max_length=100), Distinct] = []
    """Further numbers of such prompts that the report's curve is drawn through, beside the rows with gold outputs."""
    sft_curve: Annotated[list[Count], Field(max_length=100), Distinct] = []
    """Further numbers of rows with gold outputs, in place of `train_rows`, of the curve of `sft` beside it."""

    @property
    def given(self) -> bool:
        """True if there are any."""
        return bool(self.rows or self.file)


class StudyConfig(Section):
    """One comparison: a task, a student, a teacher and the methods to compare."""

    reruns: ClassVar = {
        "task": "training_file predict",
        "title": "",
        "prompt": "training_file predict",
        "student": "training_file predict checkpoint evaluate",
        "teacher": "training_file teacher_outputs teacher_distributions_shard train predict evaluate",
        "pretrained_teacher": "training_file teacher_outputs unlabelled_outputs teacher_distributions_shard train "
        "predict",
        "methods": "training_file distribution_fidelity learning_curve predict model_sizes",
        "seeds": "train_teacher train",
        "train_rows": "training_file",
        "teacher_rows": "training_file",
        "train_share": "training_file",
        "on_long_answer": "training_file",
        "learning_curve": "learning_curve",
        "engine": "teacher_outputs predict",
        "hardware": "train_teacher teacher_outputs teacher_distributions_shard own_answers train compress predict "
        "bertscore",
        "training": "training_file teacher_distributions_shard distribution_fidelity own_answers train compress "
        "predict",
        "overrides": "training_file train_teacher teacher_distributions_shard distribution_fidelity own_answers train "
        "predict",
    }

    task: Name
    """A key of `tasks`."""
    title: Title | None = None
    """Name for people, as the report shows it before the key of the study."""
    student: Name
    """A key of `models`."""
    prompt: Word | None = None
    """Prompt of this study, where it differs from the task's."""
    teacher: Name | None = None
    """A key of `models`, fine-tuned on the teacher split; none: `kd` learns from gold outputs."""
    pretrained_teacher: bool = False
    """The teacher is taken as it is, for a model that was fine-tuned elsewhere."""
    methods: Annotated[list[Word], Field(min_length=1), Distinct]
    """Methods to compare."""
    seeds: Seeds | None = None
    """Training seeds of this study, where they differ from the common ones."""
    train_rows: Count | None = None
    """Training rows at most; in a task with classes, equal per class (the smallest class is a limit too)."""
    teacher_rows: Count | None = None
    """The same for the teacher's training rows."""
    train_share: NonzeroShare = 1.0
    """Share of the students' training rows that are taken, of those within the limits above; smaller shares are subsets
    of larger ones."""
    on_long_answer: OnLongAnswer = "stop"
    """Treatment of answers to learn from that leave no room for a prompt in `max_length`: `stop` the run, `drop` their
    rows, or `crop` them; the report counts them."""
    unlabelled: UnlabelledConfig = UnlabelledConfig()
    """Prompts without gold outputs, for `kd`, the divergences, `cd` and `stepwise`."""
    kd: SamplesConfig = SamplesConfig()
    """Answers of the teacher that `kd` learns, of several to each prompt."""
    learning_curve: Annotated[list[NonzeroShare], Field(min_length=1, max_length=100)] = [0.25, 0.5, 1.0]
    """Shares of the training rows at which the target `learning_curve` trains each method, up to 1."""
    answers: Any = {}
    """Settings of test answers: keys depend on the task's kind of answers."""
    engine: Engine = "transformers"
    """What writes the teacher's outputs and test answers: `transformers`; or `vllm`, a server on this machine for large
    causal models on GPUs, which are divided among `hardware.devices`."""
    icl: InContextConfig = InContextConfig()
    """In-context learning, for the method `icl`."""
    distributions: DistributionsConfig = DistributionsConfig()
    """The cache of the teacher's distributions."""
    compress: dict[Name, CompressConfig | None] = {}
    """Compressed students: further rows of its tables, by the name that tables give them; `null` in place of one, or
    of all, leaves out what the file below an overlay has."""
    checkpoints: dict[Name, CheckpointConfig] = {}
    """Models on disk to evaluate as students, by the name that tables give them."""
    variants: dict[Name, VariantConfig] = {}
    """Further rows of its tables: the same models, asked in another way."""
    submission: SubmissionConfig = SubmissionConfig()
    """Submission to a challenge."""
    hardware: HardwareOverride = HardwareOverride()
    """Overrides of the common `hardware`."""
    training: TrainingOverride = TrainingOverride()
    """Overrides of the common `training` for the students of this study."""
    overrides: dict[str, Any] = {}
    """Overrides of `training` for single methods, with the options of their objective, and for `teacher`."""

    @field_validator("compress", mode="before")
    @classmethod
    def _without_those_left_out(cls, rows: object) -> object:
        return {name: row for name, row in rows.items() if row is not None} if isinstance(rows, dict) else rows or {}

    @model_validator(mode="after")
    def _shares_ascend_to_one(self):
        shares = self.learning_curve
        if shares != sorted(set(shares)) or shares[-1] != 1:
            raise ValueError("shares of a `learning_curve` ascend and end with 1, as in [0.25, 0.5, 1]")
        if len({percent(share) for share in shares}) < len(shares):
            raise ValueError("shares of a `learning_curve` are told apart by ten digits of a percentage; round them")
        return self


class Config(Section):
    """The whole configuration."""

    reruns: ClassVar = {"run": "", "seeds": "train_teacher train_annotator train", "threads": ""}

    run: Annotated[list[Name], Field(min_length=1), Distinct]
    """Studies that `snakemake all` builds."""
    seeds: Seeds = [1, 2, 3]
    """Training seeds; the teacher takes the lowest."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads of a job that runs a model; small models gain more from several jobs side by side."""
    models: dict[Name, BaseModelConfig]
    """Base models, by name."""
    tasks: dict[Name, TaskConfig]
    """Data of the tasks, by task."""
    studies: dict[Name, StudyConfig]
    """Comparisons, by name."""
    training: Training = Training()
    """Training of students and teachers, unless a study overrides it."""
    hardware: HardwareConfig = HardwareConfig()
    """Choice of device, precision and quantisation."""
    statistics: StatisticsConfig = StatisticsConfig()
    """Intervals and tests."""

    def task(self, name: str) -> Task:
        """A task, as it is declared here or as the project has it."""
        return find_task(name, self.tasks[name].declared)
