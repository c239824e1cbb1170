"""What jobs are told of their task."""

from pipestill.io.records import Json
from pipestill.settings.section import Section

OF_PREDICT = ("help", "model", "file", "seed", "json", "task", "revision", "results", "threads")  # its own options


class Declared(Section):
    """A task that the configuration declares."""

    kind: str
    """Kind of its answers."""
    answers: Json
    """Facts about them."""
    inputs: list[str]
    """Names of its inputs."""


class OfTask(Section):
    """Something about a task."""

    task: str
    """Name of the task."""
    declared: Declared | None = None
    """The task, where the configuration declares it."""
