"""The base of all kinds of answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from pipestill.errors import UserError
from pipestill.io.normal import normalise
from pipestill.io.records import Json, Line, Record
from pipestill.metrics.tables import MetricTable
from pipestill.settings.models import BaseModelConfig, ModelKind
from pipestill.settings.section import Name, Section, Tokens


def bare(kind: Any) -> Any:
    """A type without limits and without none."""
    while get_origin(kind) is not None and get_origin(kind) not in (list, Literal):
        kind = get_args(kind)[0]
    return kind


class AnswerOptions(Section):
    """Settings of a study's answers; each kind adds its own.

    Attributes:
        unasked: names of options that predictions by hand do not take.
        measuring: names of options that change metrics and no answer.
        learnt: names of options that change training rows.
        trusted: names of options that are taken from clients of a server only where that is allowed.
    """

    reruns: ClassVar = {"max_new_tokens": "teacher_outputs unlabelled_outputs train predict"}

    unasked: ClassVar[frozenset[str]] = frozenset()
    measuring: ClassVar[frozenset[str]] = frozenset()
    learnt: ClassVar[frozenset[str]] = frozenset()
    trusted: ClassVar[frozenset[str]] = frozenset()
    max_new_tokens: Tokens | None = None
    """Tokens at which an answer without an end is cut; the task's own limit when absent."""

    @classmethod
    def asked(cls) -> list[str]:
        """Names of options that one prompt can be answered with: those with a single value that change answers."""
        fields = cls.model_fields.items()
        return [
            name
            for name, field in fields
            if name not in cls.measuring and get_origin(bare(field.annotation)) is not list
        ]

    def used(self) -> Json:
        """The settings in effect."""
        return self.model_dump(mode="json")

    def unserved(self) -> dict[str, str]:
        """What in them needs the model in the process that asks it, not in a server: why, by key."""
        return {}


class Reply(BaseModel):
    """What a server says to one request; each kind adds its own fields."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())

    model_name: str
    """The experiment that answers."""
    prediction: str
    """The answer."""


class Values(NamedTuple):
    """What a row of a declared task says of its answer, as it stands there; none where it says nothing."""

    target: object
    rejected: object


class Definition(Section):
    """Answers of a task that the configuration declares; each kind adds its own keys."""

    kind: Name
    """Kind of the answers; the other keys depend on it."""

    def completed(self, values: Callable[[], Iterator[Values]] | None) -> Self:
        """The same with what is left out and a file of such rows says.

        Args:
            values: gives what rows of the file say; none where no file is there.

        Raises:
            UserError: nothing says what is left out.
        """
        return self

    @classmethod
    def drafted(cls, values: Sequence[object]) -> Json:
        """Keys of a declaration that fits answers of rows, as they stand there, but for lengths."""
        return {}

    def told(self) -> Json:
        """What jobs are told of them."""
        return self.model_dump(mode="json", exclude={"kind"})


@dataclass
class Said(Line):
    """The outputs of a model for one prompt.

    Attributes:
        id: key of the prompt.
        outputs: generated texts, one a sampling seed; of a teacher's, the likeliest first.
        label_scores: mean log-probability per token of each label (natural log), for answers that are labels.
    """

    id: str
    outputs: list[str]
    label_scores: dict[str, float] | None = None


class Lessons:
    """What training rows hold of a kind's answers, as long as rows are made.

    Args:
        answers: the kind.
    """

    def __init__(self, answers: "Answers"):
        self.answers = answers

    def taught(self, record: Record, said: Json) -> str:
        """What is learnt of a teacher's outputs (:class:`Said` as JSON): as :meth:`said`."""
        return self.said(said)

    def said(self, said: Json) -> str:
        """The teacher's answer where no gold output is known: its first output."""
        return said["outputs"][0]

    def likeliest(self, said: Json) -> str:
        """The same, but of labels the likeliest."""
        scores = said.get("label_scores")
        return max(scores, key=scores.get) if scores else self.said(said)

    def check(self, record: Record, output: str, gold: str | None) -> bool | None:
        """Whether a teacher's output is right, as far as that can be seen: here of labels, by the gold one.

        Args:
            record: the record.
            output: to its prompt.
            gold: words of its gold output; none where it has none.

        Returns:
            None where there is nothing to see it by.
        """
        return normalise(output) == normalise(gold) if self.answers.classes and gold is not None else None

    def alike(self, one: str, other: str) -> float:
        """How much two outputs say the same, from 0 to 1."""
        return float(normalise(one) == normalise(other))

    def agreed(self, agreement: Sequence[float]) -> list[bool]:
        """Which outputs to one prompt stand for all of them, where none can be checked: those that are most of them.

        Args:
            agreement: of each, how much the others are like it, the mean of :meth:`alike`.
        """
        others = len(agreement) - 1
        return [2 * (1 + share * others) > 1 + others for share in agreement]

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """See :meth:`Answers.rejected`."""
        return self.answers.rejected(record, said, rng)


class Answers(ABC):
    """A kind of answers, as one task has it.

    The halves are modules beside it (:func:`pipestill.job.halves.half`):

    ``predict``: ``predict(task, loaded, asking, records, work, directory)`` writes the predictions of one run, and
    of kinds that are ``probed``, ``probe(weighed, asking, records, label, directory)`` what is read from its logits;
    ``say(task, loaded, asking, prompts, work)`` gives what a model says to prompts by key, :class:`Said` each;
    ``draw(task, loaded, asking, decoding, prompts, work)`` gives further texts to them, drawn, one a sampling seed;
    ``replies(task, loaded, asking, questions, run, listen)`` answers questions by hand.
    ``score``: ``runs(task, experiment, predictions, columns)`` gives the runs of an experiment by seed, and
    ``measured(task, test_sets, directory)`` those of one that was evaluated;
    ``card``: ``card(evaluation)`` gives its parts of the model card (:class:`pipestill.evaluation.card.Card`);
    ``show``: ``PANELS``, ``FIGURES`` and ``MEASURED`` of the report (:mod:`pipestill.reporting.panels`),
    ``warnings(study)``, ``SCORE``, the metric of single answers (none: the first of ``metrics``), and
    ``example(row, scores)``, which gives an answer as the page shows it (:class:`pipestill.reporting.blocks.Shown`)
    from its rows of predictions and scores.
    ``judge``: ``judge(task, settings, record, answer)`` gives the scores of one answer by hand, and how a page
    shows it.

    Attributes:
        metrics: keys of the metric catalogue that are measured; the first one decides.
        max_new_tokens: length limit of generated answers.
        model_kinds: kinds of models that can give such answers.
        measuring_kinds: kinds of the further models that measuring needs.
        extractive: whether sentences of the input can be answers, so that methods without a model compete.
        Reply: what a server says to one request.
        written: whether models write them, token by token, so that a chat can ask for them.
        Definition: keys of a task that the configuration declares; none where it cannot.
        column: name of the answer in the rows of such a task.
        asked: inputs of such a task that says none.
        pairs: whether its rows have a worse answer too, in the column ``rejected``.
        run_to_judge: whether an answer is run as a program to score it.
        probed: whether a run is measured by its logits too.
    """

    Options: ClassVar[type[AnswerOptions]]
    Reply: ClassVar[type[Reply]]
    model_kinds: ClassVar[frozenset[ModelKind]]
    measuring_kinds: ClassVar[frozenset[ModelKind]] = frozenset({"masked"})
    written: ClassVar[bool] = False
    metrics: tuple[str, ...]
    max_new_tokens: int
    extractive: bool = False
    Definition: ClassVar[type[Definition] | None] = None
    column: ClassVar[str] = "target"
    asked: ClassVar[tuple[str, ...]] = ("text",)
    pairs: bool = False
    run_to_judge: ClassVar[bool] = False
    probed: bool = False

    @classmethod
    def of(cls, facts: Json) -> Self:
        """Answers of a task that the configuration declares.

        Args:
            facts: what its definition told.
        """
        return cls(**facts)

    @classmethod
    def counted(cls, values: Sequence[object]) -> dict[str, int]:
        """How often each answer is there, as rows spell it; empty where answers are free."""
        return {}

    def read(self, value: object) -> str:
        """The answer in a row of such a task.

        Raises:
            ValueError: it is none; says why.
        """
        if not isinstance(value, str):
            raise ValueError(f"`{self.column}` is not text")
        return value.strip()

    @property
    def tables(self) -> tuple[MetricTable, ...]:
        """Metrics that the report shows side by side, the main table first."""
        return (MetricTable(self.metrics),)

    @property
    def scorers(self) -> tuple[str, ...]:
        """Modules that score single answers, beside those of the halves."""
        return ()

    @property
    def selecting(self) -> str:
        """The metric of :meth:`score_one`, by which weights are chosen: the first, if training jobs can have it."""
        return self.metrics[0]

    @property
    def teaching(self) -> tuple[str, ...]:
        """Modules that :meth:`lessons` loads."""
        return ()

    @property
    def strata(self) -> tuple[str | None, ...]:
        """Groups that rows are divided and balanced over; one that is ``None`` where there are no groups."""
        return (None,)

    @property
    def classes(self) -> tuple[str, ...]:
        """All answers that there are; none where they are free."""
        return ()

    def stratum(self, record: Record) -> str | None:
        """The group of a record, one of :attr:`strata`."""
        return None

    def check_words(self, verbalizers: Mapping[str, str]) -> None:
        """Refuse words that a prompt gives for answers where they stand for none.

        Raises:
            ValueError: says which.
        """
        if verbalizers:
            raise ValueError("words stand for labels, and the answers of this task are none; remove the key")

    @abstractmethod
    def check_request(self, options: AnswerOptions, run: Path | None) -> None:
        """Refuse, before a model is loaded, options that one prompt cannot be answered with.

        Args:
            options: of this kind.
            run: directory of the predictions of the run that is asked, if it is one of an experiment.

        Raises:
            UserError: with the way out.
        """

    def unserved(self) -> str | None:
        """Why models in servers cannot give such answers, if they cannot."""
        return None if self.written else "answers of this kind are not written: each possible one is scored"

    def models(self, options: AnswerOptions) -> dict[str, str]:
        """Further models that measuring needs, by the key that names them."""
        return {}

    def check_models(self, options: AnswerOptions, models: Mapping[str, BaseModelConfig | None]) -> None:  # noqa: B027
        """Refuse models whose answers must not be measured as the options say.

        Args:
            options: of this kind.
            models: those that answer, by the key of the study that names them; none for a directory that it takes.

        Raises:
            ValueError: begins with the key of the options.
        """

    def lessons(self, options: AnswerOptions) -> AbstractContextManager[Lessons]:
        """What training rows are made by, open as long as they are made.

        Args:
            options: of this kind; those that are ``learnt`` count.
        """
        return nullcontext(Lessons(self))

    def rejected(self, record: Record, said: Json | None, rng: Random) -> str:
        """An answer that is worse than the record's target, for preference pairs.

        A kind without this method is refused with such objectives by the check of the configuration.

        Args:
            record: the record.
            said: what the teacher says to its prompt (:class:`Said` as JSON), where that decides.
            rng: where it does not.
        """
        raise UserError(f"answers of this kind have no wrong ones to reject ({type(self).__name__})")

    def score_one(self, said: Said, references: Sequence[str]) -> float:
        """The metric :attr:`selecting` of generated answers to one prompt, their mean; more is better.

        A kind without this method is refused with ``select: metric`` by the check of the configuration.
        """
        raise UserError(f"answers of this kind have no metric of single answers ({type(self).__name__})")

    def can(self, name: str) -> bool:
        """True if this kind has the optional method ``name``."""
        return getattr(type(self), name) is not getattr(Answers, name)

    def options(self, given: Mapping[str, object]) -> AnswerOptions:
        """Options of this kind from JSON."""
        return self.Options.model_validate(given)
