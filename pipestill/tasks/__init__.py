"""TASKS: every task by name. The rules derive the DAG from this table; it imports no torch."""

from pipestill.tasks.base import Task
from pipestill.tasks.creditmix import CREDITMIX
from pipestill.tasks.dolly import DOLLY
from pipestill.tasks.mnli import MNLI
from pipestill.tasks.mnli_merged import MNLI_MERGED
from pipestill.tasks.multiclinsum import MULTICLINSUM

TASKS: dict[str, Task] = {task.name: task for task in (CREDITMIX, DOLLY, MULTICLINSUM, MNLI, MNLI_MERGED)}

__all__ = ["TASKS", "Task"]
