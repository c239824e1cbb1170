"""Predictions by hand: inputs that are asked as the records of a task are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from pipestill.errors import UserError
from pipestill.inference.contexts import read_context
from pipestill.inference.loaded import Loaded, load, prepare
from pipestill.inference.target import Target
from pipestill.io.normal import clean
from pipestill.io.records import Json
from pipestill.job.halves import half
from pipestill.layouts.base import Cropping
from pipestill.settings.jobs import Asking
from pipestill.text.crop import unit_ends


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
        plan = prepare(self.target.settings, self.threads)
        loaded = load(self.target.base, self.target.model, plan)
        from pipestill.compression.kernels import use_fast_kernels  # imports torch

        use_fast_kernels(loaded.model, self.target.model or self.target.base)
        return replace(loaded, context=read_context(self.target.run)) if self.target.run else loaded

    def reply(self, inputs: Mapping[str, str], fields: Mapping[str, str] | None = None) -> Json:
        """Answer one request.

        Args:
            inputs: of the task, by name.
            fields: what else its layout asks for, by name, such as the language of a document.

        Returns:
            ``model_name``, ``seed``, ``prediction``, what the task's kind of answers knows beside it, and ``cropped``:
            whether the end of an input was not read.

        Raises:
            UserError: see :meth:`ask`.
        """
        prompt, cropped = self.ask(inputs, fields or {})
        target, task = self.target, self.target.task
        loaded = self.loaded  # before the half, so that torch is imported as a job imports it
        reply = half(task.answers, "predict").reply(task, loaded, self.asking, prompt, target.run)
        return {"model_name": target.name, "seed": target.seed, **reply, "cropped": cropped or reply["cropped"]}

    def ask(self, inputs: Mapping[str, str], fields: Mapping[str, str]) -> tuple[str, bool]:
        """The prompt that the pipeline makes of a request, and whether an input lost its end there.

        Raises:
            UserError: there is nothing to ask, or the task takes no such inputs or fields.
        """
        task, settings = self.target.task, self.target.settings
        known = (*task.inputs, *task.layout.fields)
        for name in (*inputs, *fields):
            if name not in known:
                raise UserError(f"task `{task.name}` takes {', '.join(known)}: leave `{name}` out")
        given = {name: clean(inputs.get(name, "")).strip() for name in task.inputs}
        for name, text in given.items():
            if any("\ud800" <= char <= "\udfff" for char in text):
                raise UserError(f"`{name}` is not UTF-8 text: save or type it as UTF-8")
        prompt = self.asking.prompt
        if missing := prompt.missing(given):
            raise UserError(f"the input text is empty: give {' and '.join(f'`{name}`' for name in missing)}")
        record = task.layout.request(given, fields)
        how = Cropping(prompt, unit_ends(self.target.crop_tokenizer), settings.splitter)
        cropped = task.layout.crop(record, task.layout.Options.model_validate(settings.data), how)
        return prompt.fill(cropped.inputs), cropped.inputs != record.inputs
