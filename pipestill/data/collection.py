"""Records of a task whose documents lie in archives or tables: read file by file, divided by case."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.data.case_splits import case_of, divide_cases, split_off_teacher
from pipestill.data.pairs import SUFFIXES, read_pairs
from pipestill.data.reading import LISTED, Reading, check_bad_share, question_of, read_records
from pipestill.errors import UserError
from pipestill.io.records import Record
from pipestill.plan.data import SplitsConfig
from pipestill.tasks import BadRow, Documents, Task

# What a file's documents are for, in the order in which they are taken: what is in one use is dropped from the next.
USES = ("test", "validation", "divide", "train")


def collection_records(
    task: Task, config: SplitsConfig, max_bad_share: float, raw: Path, files: dict[str, dict[str, Any]]
) -> tuple[list[Record], dict[str, Any]]:
    """Records with their splits, and what was set aside of each file.

    Args:
        task: has a ``collection``.
        config: how documents are divided that are for no split in particular.
        max_bad_share: share of unusable documents that a file may have.
        raw: directory of the files.
        files: what the manifest of ``raw`` says of each: ``file``, ``use``, ``origin`` and, where given, ``limit``.

    Raises:
        UserError: a file cannot be read, or too much of it is unusable, or a split would be empty.
    """
    found: list[Record] = []
    readings: dict[str, Any] = {}
    questions: set[str] = set()
    for use in USES:
        taken = {case_of(record, config) for record in found if record["split"] != "train"}  # cases of held-out splits
        members: list[Record] = []
        for name, facts in sorted(files.items()):
            if facts["use"] == use:
                reading, ignored = _read(task, raw / facts["file"], facts.get("limit"))
                check_bad_share(reading, max_bad_share, facts["origin"])
                kept = []
                for record in reading.records:
                    if question_of(record) not in questions and case_of(record, config) not in taken:
                        questions.add(question_of(record))
                        kept.append(record)
                members += kept
                readings[name] = {
                    **reading.manifest(),
                    "documents_of_other_files": len(reading.records) - len(kept),
                    "ignored_files": len(ignored),
                    "ignored_files_listed": ignored[:LISTED],
                }
                _report(name, reading, readings[name])
        if use == "divide" and members:
            divide_cases(members, config)
        for record in members:
            record["split"] = record["split"] or use
        found += members
    split_off_teacher(found, config)
    for record in found:
        if record["split"] not in ("teacher", "validation"):
            record.pop("rationale", None)  # gold ones are for the annotator; students learn from what it says
    return found, {"files": readings, "cases": len({case_of(record, config) for record in found})}


def unanswered_records(task: Task, source: Path) -> list[Record]:
    """Test records of documents whose gold output is held back: no target, no references.

    Raises:
        UserError: ``source`` cannot be read, or holds an unusable document.
    """
    records = []
    for name, row in task.collection.read(source, answered=False).rows:
        if isinstance(row, BadRow) or not row["input"]:
            raise UserError(f"{source}: {name} cannot be used ({row if isinstance(row, BadRow) else 'empty text'})")
        records.append(
            {
                "id": name,
                "split": "test",
                "text": row["input"],
                "target": "",
                "instruction": "",
                "references": [],
                "test_set": row["language"],
                "meta": {"file": name, "language": row["language"]},
            }
        )
    return records


def _read(task: Task, path: Path, limit: int | None) -> tuple[Reading, list[str]]:
    documents = Documents() if path.suffix in SUFFIXES else task.collection.read(path)
    rows: Iterator[tuple[int | str, Any]] = read_pairs(path) if path.suffix in SUFFIXES else iter(documents.rows)
    return read_records(task, itertools.islice(rows, limit)), documents.ignored


def _report(name: str, reading: Reading, facts: dict[str, Any]) -> None:
    others = facts["documents_of_other_files"]
    print(
        f"{name}: {len(reading.records) - others} records of {reading.rows} documents; {len(reading.bad)} unusable, "
        f"{reading.repeated} repeated, {others} of other files, {facts['ignored_files']} files ignored"
    )
