"""Programs of others that jobs start, where they are installed."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from pipestill.errors import UserError, shortened

INSTALL = {"vllm": "pip install vllm"}  # may be done in an environment of its own, since vLLM brings its own torch


def find(program: str) -> str | None:
    """The file of a program, on PATH or beside this Python."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return shutil.which(program, path=places)


def missing(program: str) -> str:
    """What is said where a program is not there."""
    return f"no `{program}` is on PATH or beside this Python; `{INSTALL[program]}`, or use `engine: transformers`"


def need(program: str) -> str:
    """:func:`find`.

    Raises:
        UserError: it is not there.
    """
    if (found := find(program)) is None:
        raise UserError(missing(program))
    return found


@cache
def version(file: str) -> str:
    """The version that a program says it has.

    Raises:
        UserError: it does not run.
    """
    asked = subprocess.run([file, "--version"], capture_output=True, text=True, check=False, env=bare())
    if asked.returncode or not asked.stdout.strip():
        raise UserError(f"{file} --version ended with {asked.returncode}: {shortened(asked.stderr.strip()[-200:])}")
    return asked.stdout.split()[-1]


def bare() -> dict[str, str]:
    """The environment without what is meant for this Python, as a program may have another one, and without keys."""
    others = ("PYTHON", "OPENAI_", "VLLM_API_KEY")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}
