"""Parameters that are paths: functions of a job's files, which Snakemake does not record.

They are made of names and know no plan, so that no setting passes through them: a run would not notice that it changed.
The one door for settings is :func:`unrecorded`, for those that no result depends on.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipestill.io.digests import ROOT

Wildcards = Any  # Snakemake's, whose attributes are those of the rule
Paths = Callable[..., list[str] | str]


def script(name: str) -> Paths:
    """Function that gives the path of a workflow script, wherever the project and the working directory lie."""
    return lambda wildcards, output: os.path.relpath(ROOT / "workflow_scripts" / f"{name}.py")


def beside(name: str | None = None, ending: str = ".state") -> Paths:
    """Function that gives a path beside an output: the one called ``name``, or the only one."""
    return lambda wildcards, output: f"{output if name is None else output[name]}{ending}"


def folder(name: str) -> Paths:
    """Function that gives the folder of the output called ``name``."""
    return lambda wildcards, output: str(Path(output[name]).parent)


def options(*names: str) -> Paths:
    """Function that gives ``--<name> <path> ...`` for those inputs of some names that a job has."""

    def given(wildcards: Wildcards, input: Any) -> list[str]:
        found: list[str] = []
        for name in names:
            paths = input.get(name)
            if paths:
                found += [f"--{name.replace('_', '-')}", *([paths] if isinstance(paths, str) else paths)]
        return found

    return given


def file_of(name: str, file: str) -> Paths:
    """Function that gives ``--<name> <path>`` of a file in the directory that is the input ``name``, if there is."""
    return lambda wildcards, input: [f"--{name}", f"{input.get(name)}/{file}"] if input.get(name) else []


def unrecorded(setting: Callable[[Wildcards], Any]) -> Callable[..., Any]:
    """A setting that no result depends on, such as a pace: a change of it re-runs nothing."""
    return lambda wildcards, output: setting(wildcards)
