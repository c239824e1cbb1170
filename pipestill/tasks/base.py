"""A task: an object with the reading, the prompts and the answers of its rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipestill.answers.base import Answers
from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.layouts.base import LANGUAGE, Layout
from pipestill.layouts.example import Example
from pipestill.settings.prompts import Prompt

ANSWER, RATIONALE, UNCONDITIONED = "answer", "rationale", "unconditioned"  # prompts that stages ask for by name
APART = (RATIONALE, UNCONDITIONED)  # those that ask for no answer


def no_generator(rows: Any, seed: int) -> tuple[Any, Json]:
    """The generator of a task without one.

    Raises:
        UserError: always.
    """
    raise UserError("the task has no generator of its own: set `data.source` to where its data are")


@dataclass(frozen=True)
class Task:
    """One task; the registry ``TASKS`` holds them all. Its module has its name, with ``_`` for each ``-`` and ``.``.

    Attributes:
        name: key in the registry and in the configuration.
        inputs: names of its inputs: gaps of its prompts, options of ``pipestill predict``, and what cropping shortens.
        prompts: by name: ``answer``, what is asked where nothing else is said; others; where there are any,
            ``rationale``, which asks for the rationale of an output, and ``unconditioned``, the domain without inputs.
        layout: of its raw data.
        answers: kind of its answers.
        parse: a raw row to an :class:`~pipestill.layouts.example.Example`; raises
            :class:`~pipestill.layouts.example.BadRow`, or :class:`~pipestill.layouts.example.LeftOut` for one that is
            none of the task's.
        synthetic: ``(rows, seed)`` to raw rows and facts about them for the manifest, as the layout takes them.
        challenge: its documents are submitted to a challenge.
        module: that defines it; of its name where none is given.
    """

    name: str
    inputs: tuple[str, ...]
    prompts: Mapping[str, Prompt]
    layout: Layout
    answers: Answers
    parse: Callable[[Mapping[str, Any]], Example]
    synthetic: Callable[[Any, int], tuple[Any, Json]] = no_generator
    challenge: bool = field(default=False, kw_only=True)
    module: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """The module has its name."""
        if not self.module:
            own = self.name.replace("-", "_").replace(".", "_")
            object.__setattr__(self, "module", f"pipestill.tasks.{own}")

    @property
    def languages(self) -> bool:
        """True if its test sets are languages."""
        return LANGUAGE in self.layout.fields

    @property
    def text_fields(self) -> tuple[str, ...]:
        """Texts that each of its cropped records has, as gaps of the annotation's prompts name them."""
        return ("id", "split", "target", "prompt", *self.inputs, *(("test_set",) if self.layout.fields else ()))
