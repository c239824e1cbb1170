"""TASKS: the tasks of the project by name. The rules derive the DAG from this table; it imports no torch."""

from functools import lru_cache

from pipestill.errors import UserError
from pipestill.settings.tasks import Declared, OfTask
from pipestill.tasks import declared as declared_tasks
from pipestill.tasks.base import Task
from pipestill.tasks.codegen import CODEGEN
from pipestill.tasks.creditmix import CREDITMIX
from pipestill.tasks.dolly import DOLLY
from pipestill.tasks.idp import IDP
from pipestill.tasks.mnli import MNLI
from pipestill.tasks.mnli_merged import MNLI_MERGED
from pipestill.tasks.multiclinsum import MULTICLINSUM

TASKS: dict[str, Task] = {task.name: task for task in (CREDITMIX, DOLLY, MULTICLINSUM, MNLI, MNLI_MERGED, IDP, CODEGEN)}

__all__ = ["TASKS", "Task", "find_task", "task_of"]


def find_task(name: str, declared: Declared | None = None) -> Task:
    """The task of this name.

    Args:
        name: a key of ``TASKS``, or the name of a declared one.
        declared: what the configuration declares.

    Raises:
        UserError: there is none.
    """
    if declared:
        return _declared(name, declared.model_dump_json())
    if name not in TASKS:
        raise UserError(f"`{name}` is no task of this version; there are: {', '.join(TASKS)}")
    return TASKS[name]


def content_of(name: str) -> Task:
    """The task of this name as far as its raw data go, which do not depend on what its answers are."""
    return TASKS.get(name) or declared_tasks.make(name, declared_tasks.ANY)


def task_of(facts: OfTask) -> Task:
    """The task that something is about; raises like :func:`find_task`."""
    return find_task(facts.task, facts.declared)


@lru_cache(maxsize=64)
def _declared(name: str, declared: str) -> Task:
    return declared_tasks.make(name, Declared.model_validate_json(declared))
