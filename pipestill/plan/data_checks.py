"""Looks into local data before a run: what a training would stumble over is said first."""

import sys
from contextlib import redirect_stdout

from pipestill.errors import UserError
from pipestill.plan.config import Config


def examine_data(config: Config) -> dict[str, str]:
    """What was found in the data of each task that can be looked into, by task.

    Raises:
        UserError: data cannot be used; names task and file.
    """
    found = {}
    for name, settings in config.tasks.items():
        task = config.task(name)
        try:
            said = task.layout.examine(task, settings.data)
        except UserError as error:
            raise UserError(f"tasks.{name}.data: {error}") from None
        if said:
            found[name] = said
    return found


def report_data(config: Config) -> None:
    """Say what was found; standard output is left to what a run prints, such as a graph of its rules."""
    with redirect_stdout(sys.stderr):
        for name, said in examine_data(config).items():
            print(f"{name}: {said}")
