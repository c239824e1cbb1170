"""An example, as a task reads it from one raw row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipestill.errors import shortened

LONGEST_REASON = 200  # characters; a row may hold any number


class BadRow(ValueError):
    """A raw row that cannot be used; the message is the reason that the manifest lists."""

    def __init__(self, reason: str):
        super().__init__(shortened(reason, LONGEST_REASON))


class LeftOut(Exception):
    """A raw row that is none of the task's, such as one of a class that it does not have; the message is the reason."""


@dataclass(frozen=True)
class Example:
    """The content of one raw row.

    Attributes:
        inputs: the task's inputs by name, in its order.
        target: the gold output.
        references: acceptable outputs, the target first; the target where none are given.
        test_set: the test set that it belongs to, where rows of several lie in one file.
        subset: the part of its test set that it belongs to.
        group: what no two splits may share, such as the case of a report.
        rationale: the gold one.
        meta: further facts, such as where it comes from.
    """

    inputs: Mapping[str, str]
    target: str
    references: tuple[str, ...] = ()
    test_set: str | None = None
    subset: str | None = None
    group: str | None = None
    rationale: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
