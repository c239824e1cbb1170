"""Generated answers of one run: ``predictions.jsonl``."""

from array import array
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from pipestill.errors import UserError
from pipestill.io.normal import clean
from pipestill.io.records import Json, JsonFile
from pipestill.io.sequences import Chosen

KEYS = ("id", "split", "test_set", "sampling_seed", "prediction", "references")
KINDS = {"id": str, "test_set": str | None, "sampling_seed": int | None, "prediction": str}


def read_answers(path: Path, test_sets: Sequence[str]) -> Sequence[Json]:
    """The test rows of ``predictions.jsonl``, their texts in normal form; each is read when it is asked for.

    Args:
        path: the file.
        test_sets: names that are known; none where answers are of no test set.

    Raises:
        UserError: the file is missing or broken, or holds no test row; the message names the line.
    """
    rows, tested, known = JsonFile(path), array("q"), test_sets or [None]
    for number, row in enumerate(rows, 1):
        where = f"{path}, line {number}"
        check_keys(row, KEYS, where, "predict")
        if row["split"] != "test":
            continue
        for name, kind in KINDS.items():
            if not isinstance(row[name], kind):
                wanted = "a number" if name == "sampling_seed" else "text"
                raise UserError(f"{where}: the {name} is {type(row[name]).__name__}, not {wanted}: predict again")
        if row["test_set"] not in known:
            raise UserError(f"{where}: the test set {row['test_set']!r} is none of {', '.join(map(str, known))}")
        references = row["references"]
        if not isinstance(references, list) or not references or not all(isinstance(each, str) for each in references):
            raise UserError(f"{where}: `references` must be a list of one text or more: predict again")
        tested.append(number - 1)
    if not tested:
        raise UserError(f"{path} holds no row of the test split: predict again")
    return Chosen(rows, np.frombuffer(tested, np.int64), _cleaned)


def _cleaned(row: Json) -> Json:
    return row | {"prediction": clean(row["prediction"]), "references": [*map(clean, row["references"])]}


def check_keys(row: Collection[str], keys: Iterable[str], where: str, again: str) -> None:
    """Raise ``UserError`` unless a row has all of ``keys``."""
    if missing := set(keys) - set(row):
        raise UserError(f"{where}: {', '.join(sorted(missing))} is missing: {again} again")
