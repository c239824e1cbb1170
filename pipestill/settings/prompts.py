"""Prompts: wordings, what stands for each label, and whether a chat template is around them."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from pipestill.settings.section import CleanText, Section
from pipestill.text.pieces import before
from pipestill.text.templates import Template

LABEL = "label"  # gap of privileged prompts: the gold answer
Render = Literal["chat", "raw"]


class Form(Section):
    """The form in which models read prompts."""

    model_config = ConfigDict(frozen=True)

    render: Render = "chat"
    """`chat`: a user turn of the model's chat template; `raw`: the text alone, right before its answer."""
    ending: str = ""
    """Text behind the last input: a prompt that is too long keeps it."""


class Prompt(Section):
    """A prompt of a task: the question about a record, and the words of its answers."""

    reruns: ClassVar = {
        "*": "prompts training_file predict",
        "privileged": "",
    }

    text: CleanText | Annotated[list[CleanText], Field(min_length=1, max_length=100)]
    """Wording with gaps named after the task's inputs, such as `{premise}`; of several, the first one whose gaps all
    have text is used, or else the last one. `{label}` is a gap of privileged prompts."""
    verbalizers: dict[str, Annotated[CleanText, Field(min_length=1)]] = {}
    """Words by label that stand for labels in answers; a label without one stands for itself."""
    prefix: str = " "
    """Text between prompt and answer, for `render: raw`, where it belongs to the answer."""
    separator: str = "\n\n"
    """Text between demonstrations, for `render: raw`."""
    render: Render = "chat"
    """`chat`: a user turn of the model's chat template; `raw`: the text alone, as pretrained models complete it."""
    privileged: bool = False
    """The prompt shows the gold answer (`{label}`); only a teacher reads it, and only of training rows."""

    @model_validator(mode="after")
    def _fits_together(self):
        try:
            gaps = self.template.gaps
        except ValueError as error:
            raise ValueError(f"text: {error}") from None
        if (LABEL in gaps) != self.privileged:
            problem = "shows the gold answer `{label}`" if LABEL in gaps else "does not show `{label}`"
            raise ValueError(f"text: it {problem}, and `privileged` is {str(self.privileged).lower()}; change either")
        words = list(self.verbalizers.values())
        if len(set(words)) < len(words):
            raise ValueError("verbalizers: two labels have the same word; choose another one")
        return self

    @cached_property
    def template(self) -> Template:
        """Its wordings."""
        return Template(*([self.text] if isinstance(self.text, str) else self.text))

    @property
    def form(self) -> Form:
        """What an encoder has to know of it."""
        return Form(render=self.render, ending=self.template.ending)

    def fill(self, inputs: Mapping[str, str], label: str | None = None) -> str:
        """The question.

        Args:
            inputs: of a record.
            label: its gold answer, for privileged prompts.

        Raises:
            UserError: a gap has no text.
        """
        return self.template.fill(inputs if label is None else {**inputs, LABEL: self.word(label)})

    def missing(self, inputs: Mapping[str, str]) -> list[str]:
        """Inputs without text that even the last wording has gaps for."""
        return self.template.missing(inputs)

    def word(self, label: str) -> str:
        """What stands for a label, or any other answer, which stands for itself."""
        return self.verbalizers.get(label, label)

    def answer(self, target: str) -> str:
        """What is learnt, ranked or generated right behind the prompt for a target."""
        return f"{self.prefix}{self.word(target)}" if self.render == "raw" else self.word(target)

    def said(self, text: str, demonstrated: bool = False) -> str:
        """An answer that was generated behind the prompt, as a text by itself.

        Args:
            text: that was generated.
            demonstrated: demonstrations stand before the prompt; a raw one is then answered up to where the next would
                begin.
        """
        if self.render != "raw":
            return text
        text = text.strip().removeprefix(self.prefix.strip()).lstrip()
        return text.partition(self.separator)[0].rstrip() if demonstrated and self.separator else text

    def saying(self, text: str, demonstrated: bool = False) -> str:
        """The beginning of what :meth:`said` will make of a text of which more is to come."""
        if self.render != "raw":
            return text.strip()
        if self.prefix.strip().startswith(text.strip()):
            return ""
        said = self.said(text, demonstrated)
        return before(said, self.separator) if demonstrated else said
