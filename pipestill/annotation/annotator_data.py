"""Training rows of a local annotator: documents of the teacher split and the rationales that come with them."""

from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.records import Json, Record, iterate_records, of_split, write_jsonl
from pipestill.settings.annotation import RATIONALE
from pipestill.text.gaps import fill

HELD_OUT = 10  # every tenth row is for validation


def write_annotator_data(prompt: str, records: Path, train: Path, validation: Path) -> None:
    """Write rows ``{"id", "input", "output"}``: the prompt of the annotation and the record's own rationale.

    Both files come from the teacher split only; rationales of other splits are never read.

    Raises:
        UserError: the teacher split is too small, or a record of it has no rationale.
    """
    rows = [_row(prompt, record) for record in of_split(iterate_records(records), "teacher")]
    if len(rows) < HELD_OUT:
        raise UserError(
            f"{records} has {len(rows)} records of the teacher split, and a local annotator needs {HELD_OUT} at least: "
            "raise `splits.teacher_share`, or use another `annotation.provider`"
        )
    write_jsonl(train, (row for number, row in enumerate(rows) if number % HELD_OUT))
    write_jsonl(validation, rows[::HELD_OUT])
    print(f"{len(rows)} rows of the teacher split, each tenth for validation")


def _row(prompt: str, record: Record) -> Json:
    if not (record.rationale or "").strip():
        raise UserError(
            f"record {record.id} of the teacher split has no `{RATIONALE}`, which a local annotator learns to "
            "write: use another `annotation.provider`"
        )
    return {"id": record.id, "input": fill(prompt, record.texts), "output": record.rationale}
