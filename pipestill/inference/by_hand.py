"""Predictions by hand: inputs that are asked as the records of a task are."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from pipestill.errors import UserError
from pipestill.inference.contexts import read_context
from pipestill.inference.loaded import Loaded, load, prepare
from pipestill.inference.question import Listen, Question
from pipestill.inference.target import Target
from pipestill.io.normal import clean
from pipestill.io.records import Json
from pipestill.job.halves import half
from pipestill.layouts.base import Cropping
from pipestill.settings.jobs import Asking

SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: JSON can spell it, UTF-8 cannot


@dataclass(frozen=True)
class Predictor:
    """A model that is loaded with the first request, and then answers any number.

    Attributes:
        target: the model.
        options: of the task's answers, in place of those that the model was asked with.
        threads: torch threads.

    Raises:
        UserError: one prompt cannot be answered with such options.
    """

    target: Target
    options: Mapping[str, object] = field(default_factory=dict)
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse options before any work."""
        _ = self.asking

    @cached_property
    def asking(self) -> Asking:
        """How the model is asked."""
        return self.target.asking(self.options)

    @cached_property
    def loaded(self) -> Loaded:
        """The model."""
        return load_target(self.target, self.threads)

    def reply(self, inputs: Mapping[str, str], fields: Mapping[str, str] | None = None) -> Json:
        """Answer one request; see :func:`question_of` and :func:`replies_of`."""
        question = self.ask(inputs, fields or {})  # before the model is loaded
        [(_, reply)] = replies_of(self.target, self.loaded, self.asking, [question])
        return reply

    def ask(self, inputs: Mapping[str, str], fields: Mapping[str, str]) -> Question:
        """See :func:`question_of`."""
        return question_of(self.target, self.asking, inputs, fields)


def load_target(target: Target, threads: int) -> Loaded:
    """The model of a target, with the fast kernels of this machine where it is quantised."""
    loaded = load(target.base, target.model, prepare(target.settings, threads))
    from pipestill.compression.kernels import use_fast_kernels  # imports torch

    use_fast_kernels(loaded.model, target.model or target.base)
    return replace(loaded, context=read_context(target.run)) if target.run else loaded


def question_of(target: Target, asking: Asking, inputs: Mapping[str, str], fields: Mapping[str, str]) -> Question:
    """What the pipeline asks a model of a request; no model is needed for it.

    Args:
        target: the model.
        asking: how it is asked, of :meth:`~pipestill.inference.target.Target.asking`.
        inputs: of the task, by name.
        fields: what else its layout asks for, by name, such as the language of a document.

    Raises:
        UserError: there is nothing to ask, or the task takes no such inputs or fields.
    """
    task, settings = target.task, target.settings
    known = (*task.inputs, *task.layout.fields)
    for name in (*inputs, *fields):
        if name not in known:
            raise UserError(f"task `{task.name}` takes {', '.join(known)}: leave `{name}` out")
    given = {name: clean(inputs.get(name, "")).strip() for name in task.inputs}
    for name, text in given.items():
        if SURROGATE.search(text):
            raise UserError(f"`{name}` is not UTF-8 text: save or type it as UTF-8")
    prompt = asking.prompt
    if missing := prompt.missing(given):
        raise UserError(f"the input text is empty: give {' and '.join(f'`{name}`' for name in missing)}")
    record = task.layout.request(given, fields)
    how = Cropping(prompt, target.units, settings.splitter)
    cropped = task.layout.crop(record, target.data, how)
    return Question(prompt.fill(cropped.inputs), cropped.inputs != record.inputs)


def replies_of(
    target: Target, loaded: Loaded, asking: Asking, questions: Sequence[Question], listen: Listen | None = None
) -> Iterator[tuple[int, Json]]:
    """Answer questions together; no reply depends on the others.

    Args:
        target: the model.
        loaded: of :func:`load_target`.
        asking: how it is asked, the same for all questions.
        questions: of :func:`question_of`.
        listen: follows answers while they are written; labels are not.

    Returns:
        Iterator over (place of a question, its reply): ``model_name``, ``seed``, ``prediction``, what the task's kind
        of answers knows beside it, ``cropped``: whether the end of an input was not read, ``prompt_tokens`` and
        ``written_tokens``. With ``listen`` each comes as soon as it is whole, and else with its batch.
    """
    found = half(target.task.answers, "predict").replies(target.task, loaded, asking, questions, target.run, listen)
    for place, reply in found:
        cropped = questions[place].cropped or reply["cropped"]
        yield place, {"model_name": target.name, "seed": target.seed, **reply, "cropped": cropped}
