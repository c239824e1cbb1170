"""The configuration: the one source of defaults, checks, the JSON Schema and the table in ``docs/config.md``."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from pipestill.errors import UserError
from pipestill.methods import METHODS
from pipestill.tasks import TASKS

NAME = r"^[a-z][a-z0-9.-]*$"  # of models, tasks and studies: no underscore, so that <study>_<method> splits one way
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, every key has a description."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class BaseModelConfig(Section):
    """A base model: a local directory, or a repository of the Hugging Face hub at a pinned revision."""

    kind: Literal["causal"] = "causal"
    """Architecture family."""
    source: Literal["path", "hub"]
    """`path`: a local directory with a `SHA256SUMS`; `hub`: downloaded at `revision`."""
    path: str | None = None
    """Directory of the model, for `source: path`."""
    repo: str | None = None
    """Repository, for `source: hub`, such as `Qwen/Qwen2.5-3B-Instruct`."""
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    """Commit of the repository (40 hex digits), for `source: hub`."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        if self.source == "path" and not self.path:
            raise ValueError("`source: path` needs `path`")
        if self.source == "hub" and not (self.repo and self.revision):
            raise ValueError("`source: hub` needs `repo` and `revision`")
        return self

    def locate(self, root: Path) -> Path | None:
        """The local directory, seen from the working directory or else from the project's ``root``, if it exists."""
        places = [place / self.path for place in (Path(), root)] if self.path else []
        return next((place for place in places if place.is_dir()), None)


class SplitsConfig(Section):
    """How a task's rows are divided; test and validation are drawn equal per class, the rest is for training."""

    seed: Seed = 42
    """Seed of the draw."""
    test_per_class: Count | None = None
    """Test rows of each class; or give `test_frac`."""
    test_frac: Part | None = None
    """Test rows as a share of all rows, equal per class."""
    val_per_class: Count | None = None
    """Validation rows of each class; or give `val_frac`."""
    val_frac: Part | None = None
    """Validation rows as a share of all rows, equal per class."""
    teacher_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the rest that trains the teacher and that students never see; 0: the teacher trains on the training
    split."""

    @model_validator(mode="after")
    def _one_size_each(self):
        for split in ("test", "val"):
            if (getattr(self, f"{split}_per_class") is None) == (getattr(self, f"{split}_frac") is None):
                raise ValueError(f"give either `{split}_per_class` or `{split}_frac`")
        return self


class SourceConfig(Section):
    """Where a task's raw data come from."""

    source: Literal["synthetic", "file", "url"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `file`: a local file; `url`: http(s):// or file://."""
    path: str | None = None
    """The file, for `source: file`."""
    url: str | None = None
    """The address, for `source: url`."""
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """Digest that the data must have; recorded, not checked, when absent."""
    rows: Count = 6000
    """Rows to generate, for `source: synthetic`."""
    seed: Seed = 1
    """Seed of the generator, for `source: synthetic`."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        if self.source == "file" and not self.path:
            raise ValueError("`source: file` needs `path`")
        if self.source == "url" and not self.url:
            raise ValueError("`source: url` needs `url`")
        return self


class TaskConfig(SourceConfig):
    """Where a task's data come from, and how they are checked, cropped and divided."""

    max_bad_share: Share = 0.02
    """Share of unusable rows (no label, unknown label, empty text, broken JSON) above which the run stops."""
    max_chars: Count = 2000
    """Inputs longer than this many characters are cropped at a word boundary."""
    null_inputs: list[str] | None = None
    """Content-free inputs for `multi_null` calibration; the task's own when absent."""
    splits: SplitsConfig
    """The division into teacher, train, validation and test rows."""


class LoraConfig(Section):
    """Low-rank adapters."""

    r: Count = 16
    """Rank."""
    alpha: Count = 32
    """Scale; the update is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Dropout on the adapter's input."""
    target_modules: Literal["auto"] | list[str] = "auto"
    """Modules that get an adapter; `auto`: every linear layer but the head."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases are trained."""


class DpoConfig(Section):
    """Direct preference optimisation."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    """Strength of the pull towards the reference model."""
    rejected: Literal["random", "confusable"] = "random"
    """The rejected label: any wrong one, or the wrong one that the teacher finds most likely."""


class TrainingConfig(Section):
    """How one model is trained."""

    adaptation: Literal["lora", "full"] = "lora"
    """Train low-rank adapters (QLoRA when the base model is quantised), or all weights."""
    lora: LoraConfig = LoraConfig()
    """Adapters, for `adaptation: lora`."""
    init: Literal["base", "sft"] = "base"
    """Start from the base model, or from the SFT student of the same seed (its adapter is merged first)."""
    epochs: Annotated[float, Field(gt=0)] = 3
    """Passes over the training data."""
    max_steps: Count | None = None
    """Optimizer steps; overrides `epochs`."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Course of the learning rate after the warm-up."""
    warmup: Annotated[float, Field(ge=0)] = 0.03
    """Warm-up: a share of all steps below 1, else a number of steps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped at this norm."""
    batch_size: Count = 8
    """Examples in one forward pass."""
    accumulation_steps: Count = 1
    """Forward passes per optimizer step."""
    max_length: Count = 256
    """Tokens of prompt and answer together; a longer prompt loses its end, the answer and the template stay whole."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    evaluations: Count = 4
    """How often the loss on validation rows is measured during training."""
    checkpoints: Count = 4
    """How often the training state is saved, for resuming after a kill."""
    dpo: DpoConfig = DpoConfig()
    """Options of `dpo`."""


class Override(Section):
    """A section of which only some keys are given; the others are not written either."""

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any] | None:
        if self is None:  # a section below that is not given itself
            return None
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


def _partial(section: type[Section]) -> type[Override]:
    """The same section with every key optional: what an override may set."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            kind = _partial(kind)
        constraints = field.metadata
        fields[name] = (
            Annotated[kind, *constraints] if constraints else kind,
            Field(None, description=field.description),
        )
    return create_model(f"{section.__name__}Override", __base__=Override, __doc__=section.__doc__, **fields)


TrainingOverride = _partial(TrainingConfig)


class StudyConfig(Section):
    """One comparison: a task, a student, a teacher and the methods to compare."""

    task: Name
    """A key of `tasks`."""
    student: Name
    """A key of `models`."""
    teacher: Name | None = None
    """A key of `models`, fine-tuned on the teacher split; none: `kd` learns from gold outputs."""
    methods: Annotated[list[str], Field(min_length=1)]
    """Methods to compare."""
    seeds: list[Seed] | None = None
    """Training seeds of this study, where they differ from the common ones."""
    train_per_class: Count | None = None
    """Training rows of each class at most; the smallest class is a limit too."""
    teacher_per_class: Count | None = None
    """The same for the teacher's training rows."""
    calibration: Literal["auto", "none", "multi_null", "domain_conditional", "pmi", "batch"] = "auto"
    """Prior that is subtracted from label scores; `auto`: the best on validation rows."""
    training: TrainingOverride = TrainingOverride()
    """Overrides of the common `training` for the students of this study."""
    overrides: dict[str, TrainingOverride] = {}
    """Overrides for single methods, and for `teacher`."""


class HardwareConfig(Section):
    """What the hardware plan may choose; the plan and the reason of every downgrade are written to `hardware.json`."""

    device: Literal["auto", "cpu", "cuda", "mps", "xpu"] = "auto"
    """Where models run."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the computation; `auto`: bf16 on CUDA 8.0 and later, fp16 on 7.x, fp32 on CPU."""
    quantization: Literal["auto", "none", "nf4"] = "auto"
    """4-bit NF4 base weights with double quantisation under adapters (QLoRA); `auto`: on CUDA only."""


class ScoringSettings(Section):
    """What a job that asks a model is told by its rule."""

    task: str
    """Name of the task."""
    max_prompt_tokens: Count
    """Longer prompts lose the end of their text."""
    adaptation: Literal["lora", "full"]
    """How the runs were trained; the hardware plan depends on it."""
    hardware: HardwareConfig
    """The configuration's `hardware`."""
    code: str
    """Digest of the code: scores that other code left behind are not gone on with."""


class PredictionSettings(ScoringSettings):
    """What a prediction job is told by its rule."""

    null_inputs: list[str] | None
    """Content-free inputs; the task's own when absent."""
    calibration: str
    """Name of the calibration, or `auto`."""
    max_chars: Count
    """Longer inputs that come later, by hand, are cropped as the records were."""


class StatisticsConfig(Section):
    """Intervals and tests."""

    resamples: Annotated[int, Field(ge=100)] = 10000
    """Bootstrap resamples."""
    seed: Seed = 0
    """Seed of the bootstrap."""


class Config(Section):
    """The whole configuration."""

    run: Annotated[list[Name], Field(min_length=1)]
    """Studies that `snakemake all` builds."""
    seeds: Annotated[list[Seed], Field(min_length=1)] = [1, 2, 3]
    """Training seeds; the teacher takes the lowest."""
    threads: Count = 1
    """Threads of a job that runs a model; small models gain more from several jobs side by side."""
    models: dict[Name, BaseModelConfig]
    """Base models, by name."""
    tasks: dict[Name, TaskConfig]
    """Data of the tasks, by task."""
    studies: dict[Name, StudyConfig]
    """Comparisons, by name."""
    training: TrainingConfig = TrainingConfig()
    """How students and teachers are trained, unless a study overrides it."""
    hardware: HardwareConfig = HardwareConfig()
    """Choice of device, precision and quantisation."""
    statistics: StatisticsConfig = StatisticsConfig()
    """Intervals and tests."""

    @model_validator(mode="after")
    def _names_exist(self):
        for name in self.run:
            _known(name, self.studies, "run", "studies")
        for name in self.tasks:
            _known(name, TASKS, f"tasks.{name}", "the tasks of this version")
        _unique(self.seeds, "seeds")
        for name, study in self.studies.items():
            self._check_study(f"studies.{name}", study)
        return self

    def _check_study(self, path: str, study: StudyConfig) -> None:
        _known(study.task, self.tasks, f"{path}.task", "tasks")
        _known(study.student, self.models, f"{path}.student", "models")
        if study.teacher is not None:
            _known(study.teacher, self.models, f"{path}.teacher", "models")
        _unique(study.methods, f"{path}.methods")
        if study.seeds is not None:
            _unique(study.seeds, f"{path}.seeds")
            if not study.seeds:
                raise ValueError(f"{path}.seeds: at least one seed is needed")
        for method in study.methods:
            _known(method, METHODS, f"{path}.methods", "the methods of this version")
            if METHODS[method].teacher == "required" and study.teacher is None:
                raise ValueError(f"{path}: method `{method}` needs a teacher; set `{path}.teacher`")
        for method in study.overrides:
            _known(method, [*study.methods, "teacher"], f"{path}.overrides", "the methods of the study")
        for method in study.methods:
            training = resolve_training(self, study, method)
            if training.init == "sft" and (method == "sft" or "sft" not in study.methods):
                raise ValueError(f"{path}: method `{method}` has `init: sft`; that needs another method `sft`")
            if method == "dpo" and training.dpo.rejected == "confusable" and study.teacher is None:
                raise ValueError(f"{path}: `dpo.rejected: confusable` needs a teacher; set one, or use `random`")
        if study.teacher is not None and resolve_training(self, study, "teacher").init == "sft":
            raise ValueError(f"{path}.overrides.teacher.init: a teacher starts from its base model; set `init: base`")


def _known(name: str, known: Any, path: str, where: str) -> None:
    if name not in known:
        raise ValueError(f"{path}: `{name}` is not defined in {where} ({', '.join(known)})")


def _unique(values: list, path: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{path}: `{value}` is listed twice")


def _merge(base: dict, override: dict) -> dict:
    merged = dict(base)
    for key, value in override.items():
        merged[key] = _merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return merged


def resolve_training(config: Config, study: StudyConfig, method: str) -> TrainingConfig:
    """Training of ``method`` (or ``teacher``) in ``study``: the common settings, the study's, then the method's."""
    settings = config.training.model_dump()
    if method != "teacher":
        settings = _merge(settings, study.training.model_dump())
    if method in ("teacher", "base", "sft"):
        settings["init"] = "base"  # a common `init: sft` is about those that can start from the SFT student
    if method in study.overrides:
        settings = _merge(settings, study.overrides[method].model_dump())
    return TrainingConfig.model_validate(settings)


def check(config: dict[str, Any]) -> Config:
    """Check a merged configuration.

    Raises:
        UserError: one sentence with the path of the first wrong key.
    """
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        raise UserError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """One sentence about the first wrong key; the alternatives of a union are errors of their own, and are joined."""
    found = [(_path(details["loc"]), details) for details in error.errors()]
    path, first = found[0]
    if first["type"] == "extra_forbidden":
        return f"config: unknown key `{path}`; docs/config.md lists the keys"
    if first["type"] == "missing":
        return f"config: `{path}` is missing"
    if "[key]" in first["loc"]:
        return f"config: `{path}`: names consist of lower-case letters, digits, `.` and `-`, and begin with a letter"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"config: {path}: {message}" if path else f"config: {message}"
    messages = dict.fromkeys(_message(details) for other, details in found if other == path)
    return f"config: `{path}` is {json.dumps(first['input'], default=str)}, but: {' or '.join(messages)}"


def _path(location: tuple[int | str, ...]) -> str:
    internal = ("literal", "list[", "constrained", "[key]", "int", "float", "str")  # pydantic's names of union members
    return ".".join(str(part) for part in location if not str(part).startswith(internal))


def _message(details: Any) -> str:
    is_section = details["type"] in ("model_type", "model_attributes_type", "dict_type")
    return "a mapping is expected" if is_section else details["msg"]
