"""Closeness of an experiment's runs to their teacher, as their prediction job measured it."""

from collections.abc import Mapping
from pathlib import Path

from pipestill.errors import UserError
from pipestill.evaluation.evaluation import Closeness, Mean
from pipestill.io.files import read_json

MEANS = ("kl", "agreement", "teacher_nll", "student_nll")
FACTS = ("tokens", "temperature", "codec", "tail")


def read_closeness(runs: Mapping[int, Path]) -> Closeness | None:
    """The ``agreement.json`` of all runs, together.

    Args:
        runs: directory of the predictions of each run, by seed.

    Returns:
        none where it was not measured.

    Raises:
        UserError: only some runs have it, or they were compared on different tokens.
    """
    files = [Path(directory) / "agreement.json" for directory in runs.values()]
    found = {path: read_json(path) for path in files if path.is_file()}
    if not found:
        return None
    first, content = next(iter(found.items()))
    for path in files:
        if path not in found or not {*MEANS, *FACTS} <= set(found[path]):
            raise UserError(f"{path} is missing or incomplete, but {first} is there: predict again")
        if any(found[path][fact] != content[fact] for fact in FACTS):
            raise UserError(f"{path} and {first} compare with different distributions: predict again")
    values = {name: [each[name] for each in found.values()] for name in MEANS}
    means = {name: Mean(mean=sum(column) / len(column), per_seed=column) for name, column in values.items()}
    return Closeness(**means, **{fact: content[fact] for fact in FACTS})
