"""TASKS: what models are trained for. The rules derive the DAG from this table; it imports no torch."""

from pipestill.tasks.base import BadRow, Example, Task
from pipestill.tasks.creditmix import CREDITMIX
from pipestill.tasks.dolly import DOLLY

TASKS: dict[str, Task] = {task.name: task for task in (CREDITMIX, DOLLY)}

__all__ = ["TASKS", "BadRow", "Example", "Task"]
