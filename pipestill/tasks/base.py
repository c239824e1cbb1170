"""What a task is: how its raw rows are read, asked, predicted and scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class BadRow(ValueError):
    """A raw row that cannot be used; the message is the reason that the manifest lists."""


@dataclass(frozen=True)
class Example:
    """The content of one raw row: the input text, the gold output, and its label in classification tasks."""

    text: str
    target: str
    label: str | None = None


@dataclass(frozen=True)
class Task:
    """One task; the registry ``TASKS`` holds them all.

    Attributes:
        name: key in the registry and in the configuration.
        title: name in tables and figures.
        primary_metric: the metric that the report ranks methods by.
        labels: the classes, for tasks that are predicted by ranking labels.
        prompt: the user's message for an input text.
        parse: a raw row to an :class:`Example`; raises :class:`BadRow`.
        synthetic: ``(rows, seed)`` to raw rows and facts about them for the manifest.
        null_inputs: content-free input texts, whose label scores measure the model's prior.
        premise: the user's message with the domain alone, for PMI calibration.
        max_new_tokens: length limit of generated outputs.
        test_sets: names of the test sets, for tasks that have several.
    """

    name: str
    title: str
    primary_metric: str
    labels: tuple[str, ...]
    prompt: Callable[[str], str]
    parse: Callable[[Mapping[str, Any]], Example]
    synthetic: Callable[[int, int], tuple[list[dict[str, Any]], dict[str, Any]]]
    null_inputs: tuple[str, ...]
    premise: str
    max_new_tokens: int
    test_sets: tuple[str, ...] = ()

    @property
    def ranks_labels(self) -> bool:
        """Whether answers are predicted by ranking labels; otherwise they are generated."""
        return bool(self.labels)
