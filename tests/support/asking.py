"""Questions to models in tests."""

from pipestill.settings.jobs import Asking
from pipestill.tasks import TASKS


def asking_about(task: str, prompt: str = "answer", **settings: object) -> Asking:
    """How models are asked about a task, by one of its prompts."""
    return Asking(task=task, prompt=TASKS[task].prompts[prompt], **settings)
