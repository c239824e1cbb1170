"""The jobs of the data stage: from raw files to records, and from records to training files."""

from pathlib import Path

from pipestill import files
from pipestill.config import SplitsConfig
from pipestill.data import source, splits, training_files
from pipestill.data.raw import read_rows
from pipestill.records import of_split, read_jsonl, write_jsonl
from pipestill.tasks import TASKS


def make_records(
    name: str, config: SplitsConfig, max_bad_share: float, raw: Path, records: Path, manifest: Path
) -> None:
    """Read the directory ``raw`` and write ``records`` and ``manifest``.

    Raises:
        UserError: too many rows are unusable, or a class has too few rows.
    """
    task, data = TASKS[name], Path(raw) / source.DATA
    reading = splits.read_records(task, read_rows(data))
    splits.check_bad_share(reading, max_bad_share, str(data))
    splits.assign_splits(reading.records, task.labels, config)
    write_jsonl(records, reading.records)
    files.write_json(
        manifest,
        {
            "task": name,
            "raw": files.read_json(Path(raw) / source.MANIFEST),
            **reading.manifest(),
            "splits": splits.count_splits(reading.records),
            "records_sha256": files.sha256(records),
        },
    )
    n_records, n_bad = len(reading.records), len(reading.bad)
    print(f"{n_records} records of {reading.rows} rows; {n_bad} unusable, {reading.repeated} repeated")


def make_training_files(
    name: str,
    training_file: str,
    records: Path,
    outputs: Path | None,
    per_class: int | None,
    seed: int,
    train: Path,
    validation: Path,
) -> None:
    """Write the rows that a method trains on, and validation rows with gold outputs in the same schema."""
    task, all_records = TASKS[name], read_jsonl(records)
    by_id = {row["id"]: row for row in read_jsonl(outputs)} if outputs else None
    chosen = training_files.select(all_records, training_file, per_class, seed)
    held_out = of_split(all_records, "validation")
    write_jsonl(train, training_files.training_rows(chosen, training_file, task.labels, by_id, seed))
    write_jsonl(validation, training_files.training_rows(held_out, training_file, task.labels, None, seed))
    print(f"{len(chosen)} training rows, {len(held_out)} validation rows")
