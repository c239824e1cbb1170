"""Sections about studies."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.settings.data import FileConfig
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import HardwareOverride
from pipestill.settings.section import Count, Name, NonzeroShare, Section, Seed
from pipestill.settings.training import TrainingOverride


class DistributionsConfig(Section):
    """The cache of the teacher's distributions, for `divergence.teacher: cached`."""

    codec: Literal["full", "topk", "sample"] = "topk"
    """`full`: every log-probability, exact, for small runs; `topk`: the `k` likeliest tokens and the mass of the
    others; `sample`: `draws` tokens drawn from the distribution, unbiased for fkl and for nothing else."""
    k: Count = 50
    """Tokens that `topk` keeps."""
    draws: Count = 50
    """Draws of `sample`."""
    shards: Count = 1
    """Jobs that the work is divided among."""


class CheckpointConfig(Section):
    """A model that is evaluated beside a study's students, and not trained here."""

    path: str | None = None
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


class BertScoreConfig(Section):
    """BERTScore, for a task of documents; without an encoder it is not computed."""

    encoder: Name | None = None
    """The key of `models` that texts are compared by, a masked model."""
    layer: Annotated[int, Field(ge=0)] | None = None
    """How many of its layers the vectors come from; 0 are the embeddings."""
    baseline: str | None = None
    """Rescale, so that 0 is what unrelated texts score: `corpus`, pairs of references of the test set; or the name of a
    model whose baselines the bert-score library ships, such as `bert-base-multilingual-cased`."""

    @model_validator(mode="after")
    def _encoder_and_layer(self):
        if (self.encoder is None) != (self.layer is None):
            raise ValueError("`encoder` and `layer` are given together, or none of them")
        return self


class SubmissionConfig(Section):
    """What is submitted to a challenge, for a task of documents."""

    team: str = Field("team", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the team."""
    documents: dict[Name, FileConfig] = {}
    """Archives or folders of the documents to summarise; the study's own test documents when absent."""


class StudyConfig(Section):
    """One comparison: a task, a student, a teacher and the methods to compare."""

    task: Name
    """A key of `tasks`."""
    student: Name
    """A key of `models`."""
    teacher: Name | None = None
    """A key of `models`, fine-tuned on the teacher split; none: `kd` learns from gold outputs."""
    pretrained_teacher: bool = False
    """The teacher is taken as it is, for a model that was fine-tuned elsewhere."""
    methods: Annotated[list[str], Field(min_length=1)]
    """Methods to compare."""
    seeds: list[Seed] | None = None
    """Training seeds of this study, where they differ from the common ones."""
    train_per_class: Count | None = None
    """Training rows of each class at most; the smallest class is a limit too."""
    teacher_per_class: Count | None = None
    """The same for the teacher's training rows."""
    train_rows: Count | None = None
    """Training rows at most, for a task without classes."""
    teacher_rows: Count | None = None
    """The same for the teacher's training rows."""
    train_share: NonzeroShare = 1.0
    """Share of the students' training rows that are taken, of those within the limits above; smaller shares are subsets
    of larger ones."""
    learning_curve: Annotated[list[NonzeroShare], Field(min_length=1)] = [0.25, 0.5, 1.0]
    """Shares of the training rows at which the target `learning_curve` trains each method, up to 1."""
    generation: GenerationConfig = GenerationConfig()
    """How test answers are generated, for a task without classes."""
    distributions: DistributionsConfig = DistributionsConfig()
    """The cache of the teacher's distributions."""
    checkpoints: dict[Name, CheckpointConfig] = {}
    """Models on disk to evaluate as students, by the name that tables give them."""
    calibration: Literal["auto", "none", "multi_null", "domain_conditional", "pmi", "batch"] = "auto"
    """Prior that is subtracted from label scores; `auto`: the best on validation rows."""
    bertscore: BertScoreConfig = BertScoreConfig()
    """BERTScore of summaries."""
    submission: SubmissionConfig = SubmissionConfig()
    """What is submitted to a challenge."""
    hardware: HardwareOverride = HardwareOverride()
    """Overrides of the common `hardware`."""
    training: TrainingOverride = TrainingOverride()
    """Overrides of the common `training` for the students of this study."""
    overrides: dict[str, TrainingOverride] = {}
    """Overrides for single methods, and for `teacher`."""

    @model_validator(mode="after")
    def _shares_ascend_to_one(self):
        shares = self.learning_curve
        if shares != sorted(set(shares)) or shares[-1] != 1:
            raise ValueError("shares of a `learning_curve` ascend and end with 1, as in [0.25, 0.5, 1]")
        return self
