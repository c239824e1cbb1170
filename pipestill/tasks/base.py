"""What a task is: how its raw rows are read, asked, predicted and scored."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipestill.text.templates import TEMPLATES


class BadRow(ValueError):
    """A raw row that cannot be used; the message is the reason that the manifest lists."""


@dataclass(frozen=True)
class Example:
    """The content of one raw row.

    Attributes:
        text: the input.
        target: the gold output.
        label: its label, in classification tasks.
        instruction: what is asked about the input, in tasks whose rows say so themselves.
        references: acceptable outputs, in tasks that generate text; ``target`` is the first.
        test_set: the test set that it belongs to, where rows of several lie in one file.
        group: what no two splits may share, such as the case of a report.
        extra: further fields of its record.
        meta: further facts about where it comes from.
    """

    text: str
    target: str
    label: str | None = None
    instruction: str = ""
    references: tuple[str, ...] = ()
    test_set: str | None = None
    group: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Documents:
    """What an archive or a folder holds: each document's name and its raw row, or the reason why there is none; and
    the files that were not read."""

    rows: list[tuple[str, dict[str, Any] | BadRow]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collection:
    """The layout of a task whose documents lie in files of their own, in archives or folders.

    Attributes:
        read: an archive or folder to its documents; ``answered`` says whether one without gold output is unusable.
        write: generated rows to archives in a directory.
    """

    read: Callable[..., Documents]
    write: Callable[[Iterable[Mapping[str, Any]], Path], list[Path]]


@dataclass(frozen=True)
class Task:
    """One task; the registry ``TASKS`` holds them all. It either ranks ``labels`` or has ``test_sets`` of text.

    Attributes:
        name: key in the registry and in the configuration.
        title: name in tables and figures.
        primary_metric: the metric that the report ranks methods by.
        prompt: the user's message for an input text that comes without an instruction of its own.
        parse: a raw row to an :class:`Example`; raises :class:`BadRow`.
        synthetic: ``(rows, seed)`` to raw rows and facts about them for the manifest; with test sets, both kinds of
            rows are mappings by role (``train`` and the test sets).
        max_new_tokens: length limit of generated outputs.
        labels: the classes, for tasks that are predicted by ranking labels.
        null_inputs: content-free input texts, whose label scores measure the model's prior.
        premise: the user's message with the domain alone, for PMI calibration.
        test_sets: names of the test sets, for tasks that are predicted by generating text.
        collection: layout of the raw data, for tasks whose documents lie in files of their own; they are divided into
            splits here, and a test set is a language.
        rationale_prompt: the user's message that asks for the rationale of an output, for tasks that have some.
        metrics: how generated text is scored: ROUGE-L and exact match, or all metrics of summaries.
    """

    name: str
    title: str
    primary_metric: str
    prompt: Callable[[str], str]
    parse: Callable[[Mapping[str, Any]], Example]
    synthetic: Callable[[Any, int], tuple[Any, dict[str, Any]]]
    max_new_tokens: int
    labels: tuple[str, ...] = ()
    null_inputs: tuple[str, ...] = ()
    premise: str = ""
    test_sets: tuple[str, ...] = ()
    collection: Collection | None = None
    rationale_prompt: Callable[[str], str] | None = None
    metrics: Literal["answers", "summaries"] = "answers"

    @property
    def ranks_labels(self) -> bool:
        """Whether outputs are labels to be ranked; otherwise they are text to be generated."""
        return bool(self.labels)

    @property
    def text_fields(self) -> tuple[str, ...]:
        """Fields of text that each of its cropped records has; what its rationales are is not among them."""
        own = "label" if self.ranks_labels else "test_set" if self.collection else "instruction"
        return ("id", "split", "text", "target", "prompt", own)

    def message(self, text: str, instruction: str = "", template: str = "plain") -> str:
        """The user's message: a row's own instruction and its input in ``template``, or the task's prompt."""
        return TEMPLATES[template](instruction, text) if instruction else self.prompt(text)
