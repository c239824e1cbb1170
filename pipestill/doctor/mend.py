"""Mending a tree of results: what must be made again is removed, damaged state is dropped, times are set right."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pipestill.doctor.examine import Finding, examine, unsealed
from pipestill.errors import UserError
from pipestill.io.lock import hold
from pipestill.io.seals import seal_of
from pipestill.io.times import TIMESTAMP
from pipestill.plan.start import LOCK


def doctor(results: Path, fix: bool, yes: bool) -> bool:
    """Print what is wrong with a tree of results, a line each, and the command that mends it; whether it is sound.

    Args:
        results: the tree.
        fix: mend it, after asking whether to.
        yes: do not ask.

    Raises:
        UserError: there is no such tree, nobody to ask, or a run at work in it.
    """
    if not results.is_dir():
        raise UserError(f"{results} is no directory: name a tree of results with --results")
    found = examine(results)
    for finding in found:
        print(finding.sentence)
    if unknown := unsealed(results):
        print(f"note: {len(unknown)} files have no seal and cannot be checked, such as {unknown[0]}")
    if not found:
        print(f"{results} is sound")
        return True
    if not fix:
        print(f"to mend it: pipestill doctor --results {shlex.quote(str(results))} --fix")
        return False
    if not yes and not _agreed(found):
        return False
    lock = hold(results.parent / LOCK, "a run")
    for finding in sorted(found, key=lambda finding: _time(finding.path)):  # mended times keep their order
        CURES[finding.cure](finding.path)
    lock.close()
    lost = sorted({finding.path for finding in found if finding.cure == "make"})
    print(f"mended; {_command(results, lost)}" if lost else "mended")
    return True


def _agreed(found: Sequence[Finding]) -> bool:
    removed = sorted({str(finding.path) for finding in found if finding.cure != "touch"})
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here: give --yes as well, to remove what is named above")
    print("to be removed:", *removed, sep="\n  ")
    return input("go on? [y/N] ").strip().lower() in ("y", "yes")


def _command(results: Path, lost: Sequence[Path]) -> str:
    """The command that makes again what was removed."""
    place = results.parent if results.parent != Path() else None
    directory = f" --directory {shlex.quote(str(place))}" if place else ""
    targets = " ".join(shlex.quote(str(path.relative_to(results.parent))) for path in lost)
    return f"to make it again (with the run's --configfile, if any): snakemake --cores 2{directory} all {targets}"


def _time(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _remove(path: Path) -> None:
    """Remove a file or directory; its seal stays, and says that it was there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _set_time(path: Path) -> None:
    """Give a file the time of its seal, so that nothing is taken for older than it is, or else that of now."""
    seal = seal_of(path.parent if path.name == TIMESTAMP else path)
    now = time.time()
    made = seal.stat().st_mtime if seal.is_file() else now
    when = min(made, now)
    os.utime(path, (when, when))


CURES = {"make": _remove, "drop": _remove, "touch": _set_time}
