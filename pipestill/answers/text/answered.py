"""Generated answers of one run: ``predictions.jsonl``."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.records import Json, iterate_jsonl

KEYS = ("id", "split", "test_set", "sampling_seed", "prediction", "references")


def read_answers(path: Path, test_sets: Sequence[str]) -> list[Json]:
    """The test rows of ``predictions.jsonl``.

    Args:
        path: the file.
        test_sets: names that are known; none where answers are of no test set.

    Raises:
        UserError: the file is missing or broken, or holds no test row; the message names the line.
    """
    rows, known = [], test_sets or [None]
    for number, row in enumerate(iterate_jsonl(path), 1):
        where = f"{path}, line {number}"
        check_keys(row, KEYS, where, "predict")
        if row["split"] != "test":
            continue
        if row["test_set"] not in known:
            raise UserError(f"{where}: the test set {row['test_set']!r} is none of {', '.join(map(str, known))}")
        if not isinstance(row["prediction"], str):
            raise UserError(f"{where}: the prediction is {type(row['prediction']).__name__}, not text: predict again")
        references = row["references"]
        if not isinstance(references, list) or not references or not all(isinstance(each, str) for each in references):
            raise UserError(f"{where}: `references` must be a list of one text or more: predict again")
        rows.append(row)
    if not rows:
        raise UserError(f"{path} holds no row of the test split: predict again")
    return rows


def check_keys(row: Collection[str], keys: Iterable[str], where: str, again: str) -> None:
    """Raise ``UserError`` unless a row has all of ``keys``."""
    if missing := set(keys) - set(row):
        raise UserError(f"{where}: {', '.join(sorted(missing))} is missing: {again} again")
