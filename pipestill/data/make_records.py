"""The raw directory of a task to its records, every one with its split, and a manifest of what was set aside."""

import itertools
from pathlib import Path
from typing import Any

from pipestill.data import RAW_DATA, RAW_MANIFEST, RAW_ROLE
from pipestill.data.collection import collection_records
from pipestill.data.raw import read_rows
from pipestill.data.reading import Reading, check_bad_share, question_of, read_records
from pipestill.data.splits import count_splits, divide_by_class, divide_training_file
from pipestill.errors import UserError
from pipestill.io import files
from pipestill.io.records import Record, write_jsonl
from pipestill.plan.data import SplitsConfig
from pipestill.tasks import TASKS, Task


def make_records(
    name: str, config: SplitsConfig, max_bad_share: float, raw: Path, records: Path, manifest: Path
) -> None:
    """Read the directory ``raw`` and write ``records`` and ``manifest``.

    Raises:
        UserError: too many rows of a file are unusable, or a split would have too few rows.
    """
    task, facts = TASKS[name], files.read_json(Path(raw) / RAW_MANIFEST)
    if task.collection:
        found, readings = collection_records(task, config, max_bad_share, Path(raw), facts["files"])
    else:
        divide = _of_one_file if task.ranks_labels else _of_several_files
        found, readings = divide(task, config, max_bad_share, Path(raw), facts)
    write_jsonl(records, found)
    files.write_json(
        manifest,
        {
            "task": name,
            "raw": facts,
            **readings,
            "splits": count_splits(found),
            "records_sha256": files.sha256(records),
        },
    )


def _of_one_file(
    task: Task, config: SplitsConfig, max_bad_share: float, raw: Path, facts: dict[str, Any]
) -> tuple[list[Record], dict[str, Any]]:
    reading = read_records(task, read_rows(raw / RAW_DATA))
    check_bad_share(reading, max_bad_share, facts.get("origin", str(raw / RAW_DATA)))
    divide_by_class(reading.records, task.labels, config)
    _report(reading, "", 0)
    return reading.records, reading.manifest()


def _of_several_files(
    task: Task, config: SplitsConfig, max_bad_share: float, raw: Path, facts: dict[str, Any]
) -> tuple[list[Record], dict[str, Any]]:
    """Records of test sets, a validation file and the training file; what one of them asks is dropped from the next."""
    found: list[Record] = []
    taken: set[str] = set()  # questions of other splits
    readings = {}
    for role in sorted(facts["files"], key=lambda role: (role == "train", role == "validation")):
        test_set = role if role in task.test_sets else None
        path, limit = raw / RAW_ROLE.format(role=role), facts["files"][role].get("limit")
        reading = read_records(task, itertools.islice(read_rows(path), limit), test_set)
        check_bad_share(reading, max_bad_share, facts["files"][role].get("origin", str(path)))
        kept = [record for record in reading.records if test_set or question_of(record) not in taken]
        if not kept:
            raise UserError(f"{role}: none of {reading.rows} rows can be used; look at the manifest")
        taken |= {question_of(record) for record in kept}
        if role == "train":
            divide_training_file(kept, config)
        else:
            for record in kept:
                record["split"] = "test" if test_set else "validation"
        overlapping = len(reading.records) - len(kept)
        readings[role] = {**reading.manifest(), "rows_of_other_splits": overlapping}
        _report(reading, f"{role}: ", overlapping)
        found += kept
    return found, {"files": readings}


def _report(reading: Reading, name: str, overlapping: int) -> None:
    print(
        f"{name}{len(reading.records) - overlapping} records of {reading.rows} rows; {len(reading.bad)} unusable, "
        f"{reading.repeated} repeated, {overlapping} of other splits"
    )
