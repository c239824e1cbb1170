"""Experiments and runs, and their dependencies."""

from dataclasses import replace
from functools import cached_property

from pipestill.answers.base import AnswerOptions
from pipestill.errors import UserError
from pipestill.io.digests import json_digest
from pipestill.io.records import Json
from pipestill.methods import BASE, METHODS, PRETRAINED_TEACHER, SFT, TEACHER_NAME, Method, method_of
from pipestill.objectives.base import (
    CONTEXT_OUTPUTS,
    DISTRIBUTIONS,
    OUTPUTS,
    OWN_OUTPUTS,
    RATIONALES,
    Objective,
    TrainingFile,
)
from pipestill.plan.compress import CompressConfig
from pipestill.plan.config import Config, StudyConfig, TaskConfig, percent
from pipestill.plan.resolve import (
    Resolved,
    merged,
    prompt_name,
    prompts_of,
    rationale_tokens,
    resolve_annotator,
    resolve_hardware,
    resolve_training,
)
from pipestill.plan.rounds import Round
from pipestill.plan.shares import at_share
from pipestill.plan.variants import Row, rows_of, variants_of
from pipestill.settings.evaluation import Annotator, Experiment
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.models import SERVING, HardwareConfig
from pipestill.settings.prompts import Prompt
from pipestill.settings.samples import SamplesConfig
from pipestill.tasks import Task

RATIONALES_DEPEND_ON = {
    *("provider", "model", "steps", "splits", "temperature", "top_p", "seed", "extra_body", "routing"),
    *("on_truncation", "allow_missing"),
}
BASE_SEED = 0  # an untrained model has one run


class Experiments:
    """The experiments of a checked configuration."""

    def __init__(self, config: Config):
        self.config = config
        self._resolved: dict[tuple[str, str], Resolved] = {}  # they are asked for hundreds of times
        self._variants: dict[str, dict[str, Row]] = {}  # and so are these
        self._entries: dict[tuple[str, str], Method] = {}

    @cached_property
    def experiments(self) -> list[tuple[str, str]]:
        """(study, method) of each row of the report: methods, checkpoints, the teacher, and their variants."""
        return [(name, row) for name in self.config.run for row in rows_of(self.config.studies[name])]

    def study(self, name: str) -> StudyConfig:
        """A study.

        Raises:
            UserError: there is none of this name, such as one at a share that is no part of a learning curve.
        """
        if name not in self.config.studies:
            raise UserError(f"`{name}` is no study of this configuration; there are: {', '.join(self.config.studies)}")
        return self.config.studies[name]

    def task_config(self, study: str) -> TaskConfig:
        """The data of a study's task."""
        return self.config.tasks[self.study(study).task]

    def task(self, study: str) -> Task:
        """The task of a study."""
        return self.config.task(self.study(study).task)

    def prompts(self, task: str) -> dict[str, Prompt]:
        """Prompts of a task by name, those of the configuration included."""
        return prompts_of(self.config.task(task), self.config.tasks[task])

    def prompt(self, study: str, method: str | None = None) -> Prompt:
        """The prompt that the models of a study learn to answer, or that those of one row are asked with."""
        settings = self.study(study)
        variant = self.row(study, method).settings if method else None
        name = (variant and variant.prompt) or prompt_name(self.config, settings)
        return self.prompts(settings.task)[name]

    def row(self, study: str, method: str) -> Row:
        """The models behind a row of the tables of a study, and what is another in it."""
        if study not in self._variants:
            self._variants[study] = variants_of(self.study(study))
        return self._variants[study].get(method) or Row(method)

    def answers(self, study: str, method: str) -> AnswerOptions:
        """Options of the answers in one row of a study."""
        options, variant = self.study(study).answers, self.row(study, method).settings
        return options.model_validate(merged(options.model_dump(), variant.answers)) if variant else options

    def entry(self, study: str, method: str) -> Method:
        """The method behind one row of a study's tables, by the title of the row."""
        if (study, method) not in self._entries:
            self._entries[study, method] = self._entry(study, method)
        return self._entries[study, method]

    def _entry(self, study: str, method: str) -> Method:
        row = self.row(study, method)
        pretrained = row.method == TEACHER_NAME and self.study(study).pretrained_teacher
        compressed = self.compression(study, row.method)
        entry = PRETRAINED_TEACHER if pretrained else method_of(row.method)
        entry = compressed.entry(row.method) if compressed else entry
        return replace(entry, title=f"{entry.title} ({row.name})") if row.name else entry

    def compression(self, study: str, method: str) -> CompressConfig | None:
        """How the models behind a row of a study's tables are compressed, if they are."""
        return self.study(study).compress.get(self.row(study, method).method)

    def lineage(self, study: str, method: str) -> list[str]:
        """The method of a row, and the one whose student is compressed in it, if that was trained."""
        own, compressed = self.row(study, method).method, self.compression(study, method)
        return [own, *([compressed.parent] if compressed and compressed.parent != BASE else [])]

    def seeds(self, study: str, method: str) -> list[int]:
        """Seeds of an experiment's runs: its study's; the lowest for the teacher, ``BASE_SEED`` for the untrained, and
        those of the draw for one that reads demonstrations."""
        if self.entry(study, method).in_context:
            return self.study(study).icl.seeds
        compressed = self.compression(study, method)
        untrained = compressed and compressed.parent == BASE and not compressed.training
        if not self.entry(study, method).trains or untrained:
            return [BASE_SEED]
        own = self.study(study).seeds or self.config.seeds
        return [min(own)] if self.row(study, method).method == TEACHER_NAME else own

    def base_model(self, study: str, method: str) -> str:
        """Name of the base model that an experiment starts from."""
        settings, method = self.study(study), self.row(study, method).method
        if method in settings.checkpoints:
            return settings.checkpoints[method].model or settings.checkpoints[method].base or settings.student
        return settings.teacher if method == TEACHER_NAME else settings.student

    def training(self, study: str, method: str) -> Resolved:
        """Training of a method in a study."""
        method = self.row(study, method).method
        if (study, method) not in self._resolved:
            self._resolved[study, method] = resolve_training(self.config.training, self.study(study), method)
        return self._resolved[study, method]

    def hardware(self, study: str) -> HardwareConfig:
        """Hardware of the jobs of a study."""
        return resolve_hardware(self.config.hardware, self.study(study))

    def rationale_tokens(self, study: str, method: str) -> int:
        """Tokens for a rationale before each answer of a method; 0 where there is none."""
        return rationale_tokens(self.task_config(study), self.training(study, method), self.row(study, method).method)

    def store_of(self, study: str, method: str) -> str | None:
        """Name of the stored distributions that a method reads, if it reads some."""
        objective = self.entry(study, method).objective
        return objective.store if objective and objective.cached(self.training(study, method).options) else None

    def readers(self, study: str, store: str = DISTRIBUTIONS) -> list[str]:
        """Methods and compressed students of a study that read stored distributions of this name."""
        return [method for method in self._learners(study) if self.store_of(study, method) == store]

    def reader(self, study: str, store: str) -> str:
        """A method that reads a store; in what a store depends on, all its readers are alike."""
        own = Round.of_store(store)
        return own.method if own else self.readers(study, store)[0]

    def rounds(self, study: str, method: str) -> int:
        """Rounds that the trainings of a method are divided into; 0: each is one job."""
        objective = self.entry(study, method).objective
        return objective.rounds(self.training(study, method).options) if objective else 0

    def compared_readers(self, study: str) -> list[str]:
        """Methods of a study that read its teacher's distributions; compressed students read them in the same way."""
        return [method for method in self.readers(study) if method in METHODS]

    def _learners(self, study: str) -> list[str]:
        """Rows of a study that learn from its training files."""
        return [*self.study(study).methods, *self.study(study).compress]

    def maker(self, study: str, file: str) -> str:
        """The method that says how a training file is made: the teacher, or the first of all methods that is trained on
        it, whichever of them a study has, so that a further one leaves the file as it is."""
        if file == method_of(TEACHER_NAME).objective.file.name:
            return TEACHER_NAME
        trained = [name for name, method in METHODS.items() if method.trains]
        return next(name for name in trained if file in {each.name for each in METHODS[name].objective.files})

    def unlabelled_source(self, study: str, method: str) -> str | None:
        """What a method learns at prompts without gold outputs (``Objective.unlabelled_source``); none: nothing, or
        there are no such prompts."""
        objective = self.entry(study, method).objective
        if objective is None or not self.study(study).unlabelled.given:
            return None
        source = objective.unlabelled_source(self.training(study, method).options)
        return None if source == OUTPUTS and not self.learns_from_teacher(study, method) else source

    def learns_unlabelled(self, study: str, method: str) -> bool:
        """True if answers to prompts without gold outputs are among a method's training rows."""
        return self.unlabelled_source(study, method) is not None

    def annotates_unlabelled(self, study: str) -> bool:
        """True if the annotation answers such prompts for a method of the study."""
        return any(self.unlabelled_source(study, method) == RATIONALES for method in self.study(study).methods)

    def samples(self, study: str, method: str) -> SamplesConfig | None:
        """Which of several answers of the teacher a method learns; none: the likeliest one, or none of them."""
        own, objective = self.study(study).kd, self.entry(study, method).objective
        sampled = objective is not None and objective.file.sampled and self.learns_from_teacher(study, method)
        return own if sampled and own.filtered else None

    def drawing(self, study: str) -> GenerationConfig | None:
        """How a study's teacher draws further answers; none where no method learns such."""
        learnt = any(self.samples(study, method) for method in self._learners(study))
        return self.study(study).kd.drawing if learnt else None

    def file(self, study: str, method: str) -> TrainingFile | None:
        """What a method is trained on, if it is trained."""
        objective = self.entry(study, method).objective
        return objective.with_unlabelled if self.learns_unlabelled(study, method) else objective and objective.file

    def longest_row(self, study: str, file: str) -> int | None:
        """Tokens of prompt and answer that every training on a file has room for; none where nothing is trained on it.

        Where long answers are dropped or cropped, all students of a study learn from the same ones.
        """
        settings = self.study(study)
        learners = [TEACHER_NAME] if self.maker(study, file) == TEACHER_NAME else self._learners(study)
        trained = [name for name in learners if self.entry(study, name).trains]
        reading = [name for name in trained if self.file(study, name).name == file]
        if settings.on_long_answer != "stop":
            reading = trained
        return min((self.training(study, name).training.max_length for name in reading), default=None)

    def sources(self, study: str, method: str) -> frozenset[str]:
        """Sources of a method's training file beside records; outputs only if there is a teacher."""
        objective = self.entry(study, method).objective
        found = objective.sources(self.training(study, method).options) if objective else frozenset()
        return found - (frozenset() if self.study(study).teacher else {OUTPUTS})

    def learns_from_teacher(self, study: str, method: str) -> bool:
        """True if anything that a method learns from comes from the study's teacher."""
        objective = self.entry(study, method).objective
        asks = objective is not None and objective.asks_teacher(self.training(study, method).options)
        taught = self.row(study, method).method != TEACHER_NAME
        return asks and self.study(study).teacher is not None and taught

    def learns_rationales(self, study: str, method: str) -> bool:
        """True if a method, or the student that is compressed in a row, learnt from rationales."""
        return any(RATIONALES in self.sources(study, each) for each in self.lineage(study, method))

    def rows(self, study: str, method: str) -> int | None:
        """Rows of a method's training file at most."""
        settings = self.study(study)
        return settings.teacher_rows if self.row(study, method).method == TEACHER_NAME else settings.train_rows

    def share(self, study: str, method: str) -> float:
        """Share of a training file's rows that is taken, of those that :meth:`rows` lets in."""
        return 1.0 if self.row(study, method).method == TEACHER_NAME else self.study(study).train_share

    def learning_curve(self, study: str) -> list[tuple[str, str]]:
        """(study, method) of each point of a learning curve: the untrained student, and trained ones at every share.

        The studies at shares are those that :func:`~pipestill.plan.shares.with_shares` makes.
        """
        settings = self.study(study)
        trained = [method for method in settings.methods if METHODS[method].trains]
        points = [(at_share(study, share), method) for share in settings.learning_curve for method in trained]
        return [*([(study, BASE)] if BASE in settings.methods else []), *points]

    @property
    def annotated(self) -> list[str]:
        """Tasks that have annotation."""
        return [name for name, task in self.config.tasks.items() if task.annotation is not None]

    @property
    def annotation_keys(self) -> list[str]:
        """Environment variables of the keys that annotation needs."""
        annotations = (self.config.tasks[task].annotation for task in self.annotated)
        return sorted({key for annotation in annotations if (key := annotation.key_name())})

    def experiment(self, study: str, method: str) -> Experiment:
        """An experiment: who takes part, and every setting that its numbers depend on."""
        settings, entry, task = self.study(study), self.entry(study, method), self.task_config(study)
        depends = self.depends(study, method)
        return Experiment(
            experiment=f"{study}_{method}",
            study=study,
            task=settings.task,
            declared=task.declared,
            method=method,
            variant_of=self.row(study, method).method if self.row(study, method).name else None,
            compressed_from=compressed.parent if (compressed := self.compression(study, method)) else None,
            method_title=entry.title,
            method_summary=entry.summary,
            student=settings.student if entry.model else None,
            teacher=settings.teacher,
            annotator=self._annotator(study, method),
            source=task.data.source,
            notes=self.notes(study, method),
            test_sets=self.task(study).layout.test_sets(task.data),
            splitter=task.splitter,
            answers=self.answers(study, method).used() if entry.model else {},
            statistics=self.config.statistics,
            settings=depends,
            config_sha256=json_digest(depends),
        )

    def _annotator(self, study: str, method: str) -> Annotator | None:
        if not self.learns_rationales(study, method):
            return None
        annotation = self.task_config(study).annotation
        return Annotator(provider=annotation.provider, model=annotation.model)

    def notes(self, study: str, method: str) -> list[str]:
        """Sentences that every table shows with an experiment."""
        entry, settings = self.entry(study, method), self.study(study)
        taught = self.row(study, method).method == TEACHER_NAME and entry.trains
        if taught and self.task_config(study).data.splits.teacher_share == 0:
            return ["The teacher was trained on the students' training rows."]
        found = []
        if entry.teacher == "optional" and settings.teacher is None:
            found.append(f"{entry.title} was trained on gold outputs, since the study has no teacher.")
        if self.rationale_tokens(study, method):
            found.append(
                f"{entry.title} was trained in its single-task variant: it writes a rationale before each answer."
            )
        if source := self.unlabelled_source(study, method):
            who = {RATIONALES: "the annotation", CONTEXT_OUTPUTS: "its teacher"}.get(source, "the teacher")
            found.append(f"{entry.title} learnt what {who} says to prompts without gold outputs too.")
        if entry.trains and self.share(study, method) < 1:
            found.append(f"Students were trained on {percent(settings.train_share)} % of the training rows.")
        return found

    def depends(self, study: str, method: str) -> Json:
        """Every setting that an experiment's numbers depend on, those of the models that it learns from included."""
        settings, entry, task = self.study(study), self.entry(study, method), self.task_config(study)
        depends: Json = {
            "task": {
                "data": self.task(study).layout.used(task.data),
                "prompt": self.prompt(study, method).model_dump(),
                "splitter": task.splitter,
            },
            "statistics": self.config.statistics.model_dump(),
        }
        if entry.model:
            depends |= {
                "base_model": self.config.models[self.base_model(study, method)].model_dump(),
                "hardware": self.hardware(study).model_dump(),
                "answers": self.answers(study, method).used(),
            }
            if settings.engine in SERVING:
                depends["engine"] = settings.engine
        for key, model in self.task(study).answers.models(settings.answers).items():
            depends[key] = self.config.models[model].model_dump()
        if entry.in_context:
            depends["context"] = settings.icl.told().model_dump()
            depends["train_rows"] = self.rows(study, method)
        if (own := self.row(study, method).method) in settings.checkpoints:
            depends["checkpoint"] = settings.checkpoints[own].model_dump(exclude_none=True)
        if compressed := self.compression(study, method):
            depends |= self._compression_depends(study, compressed)
        if entry.trains:
            depends |= self._training_depends(study, method, entry.objective)
        return depends

    def _compression_depends(self, study: str, compressed: CompressConfig) -> Json:
        parent = self.depends(study, compressed.parent)
        told = compressed.model_dump(exclude_none=True, include={"prune", "quantize"})
        return {"compress": told | {"recovers": compressed.training is not None, "from": parent}}

    def _training_depends(self, study: str, method: str, objective: Objective) -> Json:
        resolved, share = self.training(study, method), self.share(study, method)
        depends: Json = {
            "training": {**resolved.training.used(), "objective": objective.used(resolved.options)},
            "train_rows": self.rows(study, method),
        }
        if share < 1:
            depends["train_share"] = share
        if self.learns_unlabelled(study, method):
            depends["unlabelled"] = self.study(study).unlabelled.model_dump(include={"rows", "file"})
        if samples := self.samples(study, method):
            depends["kd"] = samples.model_dump()
        if self.study(study).on_long_answer != "stop":
            depends["on_long_answer"] = self.study(study).on_long_answer
        if resolved.training.init == "sft" or OWN_OUTPUTS in self.sources(study, method):
            depends["sft"] = self.depends(study, SFT)
        if self.learns_from_teacher(study, method):
            depends["teacher"] = self.depends(study, TEACHER_NAME)
        if RATIONALES in self.sources(study, method):
            depends["annotation"] = self._annotation_depends(self.study(study).task)
        if objective.cached(resolved.options):
            depends["distributions"] = self.study(study).distributions.told()
        return depends

    def _annotation_depends(self, task: str) -> Json:
        """Settings that the rationales of a task depend on: not keys, addresses, limits, prices or pace."""
        annotation = self.config.tasks[task].annotation
        identity = annotation.model_dump(include=RATIONALES_DEPEND_ON)
        if annotation.provider != "local":
            return identity
        if annotation.engine in SERVING:
            identity["engine"] = annotation.engine
        training = resolve_annotator(self.config.training, self.config.tasks[task]).training.used()
        return identity | {"model": self.config.models[annotation.model].model_dump(), "training": training}
