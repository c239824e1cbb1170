"""The base of all objectives."""

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

from pipestill.answers.base import Answers, Lessons
from pipestill.errors import UserError
from pipestill.io.records import Json, Record, Split
from pipestill.settings.contexts import ContextSettings, TeacherContext
from pipestill.settings.models import ModelKind
from pipestill.settings.on_policy import OnPolicy
from pipestill.settings.prompts import Prompt
from pipestill.settings.section import Section
from pipestill.tasks.base import Task

DISTRIBUTIONS = "distributions"  # store of what the teacher finds likely in training answers
OUTPUTS, RATIONALES = "outputs", "rationales"  # what training rows can be made from, beside records
CONTEXT_OUTPUTS = "context_outputs"  # what a teacher with a context says, another source of them
OWN_OUTPUTS = "own_outputs"  # what the SFT student says, another
M = TypeVar("M")
TeacherUse = Literal["unused", "optional", "required"]


class NoOptions(Section):
    """Settings of an objective without any."""


@dataclass(frozen=True)
class Sources:
    """Sources of training rows beside their records.

    Attributes:
        task: of the records.
        prompt: that the student is asked with.
        lessons: what rows hold of answers.
        outputs: what the teacher, or the SFT student, says to their prompts, by id; none without it, and for validation
            rows.
        unlabelled_outputs: what is said to prompts without gold outputs, by id.
        rationales: of the annotation, by id.
        seed: of what is drawn.
        pool: training records that are in the file, to draw demonstrations from.
        context: that the teacher reads, if it reads one.
    """

    task: Task
    prompt: Prompt
    lessons: Lessons
    outputs: Mapping[str, Json] | None = None
    unlabelled_outputs: Mapping[str, Json] | None = None
    rationales: Mapping[str, str] | None = None
    seed: int = 0
    pool: Sequence[Record] = ()
    context: TeacherContext | None = None
    _made: dict[type, Any] = field(default_factory=dict, repr=False)

    def made(self, kind: type[M], *arguments: Any) -> M:
        """``kind`` of these sources, made once for all rows."""
        if kind not in self._made:
            self._made[kind] = kind(*arguments, self)
        return self._made[kind]

    def asked(self, record: Record) -> str:
        """The question about a record."""
        return self.prompt.fill(record.inputs)

    def answer(self, target: str) -> str:
        """What is learnt of a target."""
        return self.prompt.answer(target)

    def said(self, record: Record) -> Json | None:
        """The teacher's outputs for a record, if they are used.

        Raises:
            UserError: the outputs lack this record.
        """
        outputs = self.outputs if record.labelled else self.unlabelled_outputs
        if outputs is None:
            return None
        if record.id not in outputs:
            raise UserError(f"the teacher's outputs hold nothing for record {record.id}; make them again")
        return outputs[record.id]


@dataclass(frozen=True)
class TrainingFile:
    """A file of training rows, ``results/data/<study>/<name>.jsonl``.

    Attributes:
        name: of the file, without its ending.
        row: a record and the sources to a row.
        split: whose records it is made of.
        answer: key of the answer in a row.
        judged: whether rows hold other answers than gold ones, as :class:`~pipestill.answers.base.Lessons` give them.
        sampled: whether rows are of several answers of the teacher to a prompt, where a study asks for them.
    """

    name: str
    row: Callable[[Record, Sources], Json]
    split: Split = "train"
    answer: str = "output"
    judged: bool = False
    sampled: bool = False


def output_row(record: Record, sources: Sources, output: str) -> Json:
    """``{"id", "input", "output"}``."""
    return {"id": record.id, "input": sources.asked(record), "output": sources.answer(output)}


def gold_row(record: Record, sources: Sources) -> Json:
    """``{"id", "input", "output"}``: the gold output."""
    return output_row(record, sources, record.target)


TEACHER = TrainingFile("teacher", gold_row, split="teacher")
SFT = TrainingFile("sft", gold_row)


@dataclass(frozen=True)
class Part:
    """Something that is logged beside the loss.

    Attributes:
        name: in the history; of validation rows, with ``eval_`` before it.
        form: how the progress line writes it.
        in_training: whether each step logs it too, and not only evaluations.
    """

    name: str
    form: str
    in_training: bool = True


class Objective(ABC):
    """An objective, as one method has it.

    Its half ``train`` (:func:`pipestill.job.halves.half`) has ``read(objective, job)``, which gives the rows of a
    training job, and ``trainer(objective, job, model, data)``.

    Attributes:
        section: name of its settings under ``training``; none where there are none.
        file: what it is trained on.
        parts: logged beside the loss.
        model_kinds: kinds of models that it can train.
        libraries: packages that its half needs and that jobs hide (:mod:`pipestill.job.startup`).
        teacher: whether it learns from the study's teacher; without one, ``optional`` falls back to gold outputs.
        store: name of the teacher's distributions that it can read.
        with_unlabelled: what it is trained on where somebody answers prompts without gold outputs too; none: it
            learns nothing of them.
    """

    section: ClassVar[str | None] = None
    Options: ClassVar[type[Section]] = NoOptions
    parts: ClassVar[tuple[Part, ...]] = ()
    model_kinds: ClassVar[frozenset[ModelKind]] = frozenset({"causal", "seq2seq", "masked"})
    libraries: ClassVar[tuple[str, ...]] = ()
    file: TrainingFile
    teacher: TeacherUse = "unused"
    store: str | None = None
    with_unlabelled: TrainingFile | None = None

    @property
    def files(self) -> tuple[TrainingFile, ...]:
        """All that it may be trained on."""
        return tuple(dict.fromkeys(each for each in (self.file, self.with_unlabelled) if each))

    @property
    def identity(self) -> Json:
        """Facts about it, apart from its settings, that make it another objective when they change."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "file"}
        return {**own, "file": self.file.name, "answer": self.file.answer}

    @property
    def settings(self) -> type[Section]:
        """Its settings; those of one method may be more than those of the section that methods share."""
        return self.Options

    @property
    def shares_tokens(self) -> bool:
        """True if student and teacher must have the same tokens."""
        return False

    def sources(self, options: Section) -> frozenset[str]:
        """Those of ``outputs``, ``context_outputs``, ``own_outputs`` and ``rationales`` that its training file is made
        from."""
        return frozenset()

    def unlabelled_source(self, options: Section) -> str | None:
        """What it learns at prompts without gold outputs: ``outputs``, the study's teacher's, ``context_outputs`` or
        ``rationales``, the annotation's answers; none: nothing."""
        return OUTPUTS if self.with_unlabelled and self.teacher != "unused" else None

    def asks_teacher(self, options: Section) -> bool:
        """True if anything that it learns from comes from the teacher."""
        return self.teacher != "unused" or OUTPUTS in self.sources(options)

    def lacks(self, answers: Answers) -> str | None:
        """What its training rows are made of and tasks with such answers have not; none where they have all."""
        return None

    def labels(self, answers: Answers) -> tuple[str, ...]:
        """Labels that the student gets a head for; none: it stays a language model."""
        return ()

    def online(self, options: Section) -> bool:
        """True if the teacher runs beside the student."""
        return False

    def cached(self, options: Section) -> bool:
        """True if stored distributions of the teacher are read."""
        return False

    def on_policy(self, options: Section) -> OnPolicy | None:
        """Settings of training on answers of the student's own, if there is some."""
        return None

    def rounds(self, options: Section) -> int:
        """Jobs that a training on own answers is divided among, each after the student has written new ones; 0: it is
        one job, in which it writes them."""
        own = self.on_policy(options)
        return own.rounds if own else 0

    def check_on_policy(self, options: Section, kind: ModelKind, divided: bool) -> None:
        """Refuse own answers that a student of a kind, or with divided weights, cannot write, or that its teacher does
        not read; for objectives that can be :meth:`on_policy`.

        Raises:
            ValueError: says what to do.
        """
        raise NotImplementedError(type(self).__name__)

    def context(self, options: Section) -> ContextSettings | None:
        """Context that the teacher reads before the questions of training rows; none for most."""
        return None

    def hint(self, options: Section) -> str | None:
        """Name of the prompt that shows the teacher the gold answer, if one does."""
        return None

    def check_codec(self, codec: str) -> None:
        """Refuse stored distributions that do not serve it; for objectives that can be :meth:`cached`.

        Raises:
            ValueError: says what would.
        """
        raise NotImplementedError(type(self).__name__)

    def explains(self, options: Section) -> bool:
        """True if the student writes a rationale and a marker before each answer."""
        return False

    def learnt(self, row: Json, explained: bool) -> dict[str, str]:
        """Texts of a training row that are learnt behind a prompt, by the key that is cropped where one is too long.

        Args:
            row: of its training file.
            explained: see :meth:`explains`.
        """
        return {self.file.answer: row[self.file.answer]}

    def used(self, options: Section) -> Json:
        """The settings that count."""
        return options.model_dump()
