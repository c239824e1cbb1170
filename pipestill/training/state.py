"""The training state: a directory beside the output that a killed job goes on from.

``fingerprint.json`` says what the state belongs to; other work starts over. ``checkpoints/<step>/`` counts only with a
``SHA256SUMS`` that fits, which is written last, so that a checkpoint torn by a kill is passed over. ``finished/``
shares its files with the output by hard links: it takes no room, and gives the output back when only that was lost.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import (
    SHA256SUMS,
    fresh_directory,
    read_json,
    replace_directory,
    verify_sha256sums,
    write_json,
    write_sha256sums,
)
from pipestill.job.state import read_state

CHECKPOINTS = "checkpoints"  # in a state
TRAINER_STATE = "trainer_state.json"  # in a checkpoint, as the library calls it
KEPT_CHECKPOINTS = 2  # the last one, and one more should that be damaged


class TrainingState:
    """The state of one run.

    Args:
        directory: where it lies; made here, and emptied when it belongs to other work.
        fingerprint: everything that defines the run, as JSON.
    """

    def __init__(self, directory: Path, fingerprint: dict[str, Any]):
        self.directory = Path(directory)
        self.finished = self.directory / "finished"
        self._checkpoints = self.directory / CHECKPOINTS
        path = self.directory / "fingerprint.json"
        found = read_state(path)
        if found is not None and found != fingerprint:
            changed = ", ".join(_changed(found, fingerprint))
            print(f"{directory} holds the state of another run ({changed} changed): starting over", file=sys.stderr)
            self.start_over()
        if found != fingerprint:
            self.start_over()  # also what is left when the line above was interrupted
            write_json(path, fingerprint)

    def start_over(self) -> None:
        """Forget what earlier attempts kept."""
        if self.directory.exists():
            (shutil.rmtree if self.directory.is_dir() else os.unlink)(self.directory)

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """Give a directory to write the checkpoint of ``step`` into; older ones go when it is complete."""
        with fresh_directory(self._checkpoints / f"{step:08}") as directory:
            yield directory
            write_sha256sums(directory)
        for old in self._steps()[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)

    def drop_checkpoints(self) -> None:
        """Forget the steps that were done."""
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    def last_checkpoint(self) -> Path | None:
        """The last complete checkpoint; damaged ones are named and passed over."""
        for directory in reversed(self._steps()):
            try:
                verify_sha256sums(directory)
            except UserError as error:
                print(f"passing over an incomplete checkpoint: {error}", file=sys.stderr)
            else:
                return directory
        return None

    def put_aside(self, names: Sequence[str]) -> None:
        """Make the result of what a later job goes on from: the last checkpoint, and what else of this state it needs.

        Args:
            names: of files and directories in the state; those that are not there are left out.
        """
        checkpoint = self.last_checkpoint()
        with fresh_directory(self.finished) as directory:
            _copy(checkpoint, directory / CHECKPOINTS / checkpoint.name)
            for name in names:
                if (self.directory / name).exists():
                    _copy(self.directory / name, directory / name)
            write_sha256sums(directory)

    def take_over(self, before: Path) -> Path:
        """Go on from what :meth:`put_aside` of an earlier job made; returns its checkpoint.

        Raises:
            UserError: it is damaged.
        """
        verify_sha256sums(before)
        for path in sorted(before.iterdir(), key=lambda path: path.name == CHECKPOINTS):  # which counts, at last
            own = self.directory / path.name
            if path.is_dir():
                shutil.rmtree(own, ignore_errors=True)
            if path.name != SHA256SUMS and not own.exists():
                _copy(path, own)
        return self.last_checkpoint()

    def is_finished(self) -> bool:
        """Whether the run has ended and its result is whole."""
        return is_complete(self.finished)

    def publish(self, output: Path) -> None:
        """Make ``output`` from the finished result, in one step, and drop what only a resume needs."""
        output = Path(output)
        partial = output.with_name(f"{output.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(self.finished, partial, copy_function=_link_or_copy)
        replace_directory(partial, output)
        for path in self.directory.iterdir():
            if path.is_dir() and path != self.finished:
                shutil.rmtree(path)

    def _steps(self) -> list[Path]:
        return sorted(path for path in self._checkpoints.glob("*") if path.name.isdigit())


def left_by(before: Path) -> Path:
    """The checkpoint in what :meth:`TrainingState.put_aside` made."""
    (found,) = (before / CHECKPOINTS).iterdir()
    return found


def progress_of(checkpoint: Path) -> tuple[int, int]:
    """Steps that were done at a checkpoint, and steps of the whole training."""
    state = read_json(checkpoint / TRAINER_STATE)
    return state["global_step"], state["max_steps"]


def is_complete(directory: Path) -> bool:
    """Whether a directory is as its ``SHA256SUMS`` says."""
    try:
        verify_sha256sums(directory)
    except UserError:
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a directory of files that never change, by links where that can be, or a file, which may grow."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        with fresh_directory(target) as directory:
            shutil.copytree(source, directory, copy_function=_link_or_copy, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _changed(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Dotted names of what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _changed(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path
