"""Directories of runs."""

from pathlib import Path

from pipestill.errors import UserError


def find_runs(directory: Path) -> dict[int, Path]:
    """The directories ``seed_<n>`` of an experiment's predictions, by seed.

    Raises:
        UserError: there are none.
    """
    found = {int(path.name.removeprefix("seed_")): path for path in Path(directory).glob("seed_*")}
    if not found:
        raise UserError(f"{directory} holds no predictions (seed_<n>): predict again")
    return dict(sorted(found.items()))
