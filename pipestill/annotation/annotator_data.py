"""Training rows of a local annotator: documents of the teacher split, and the rationales that come with them."""

from collections.abc import Mapping
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.records import Json, Record, iterate_records, of_split, write_jsonl
from pipestill.settings.annotation import ANSWER, RATIONALE
from pipestill.text.gaps import fill

HELD_OUT = 10  # every tenth row is for validation


def write_annotator_data(questions: Mapping[str, str], records: Path, train: Path, validation: Path) -> None:
    """Write rows ``{"id", "input", "output"}``: a prompt of the annotation and the record's own rationale, or its gold
    output.

    Both files come from the teacher split only; rationales of other splits are never read.

    Args:
        questions: prompts by what is asked for, ``rationale`` and perhaps ``answer``.
        records: cropped records.
        train: JSON Lines file to write.
        validation: the same.

    Raises:
        UserError: the teacher split is too small, or a record of it has no rationale.
    """
    rows = [_rows(questions, record) for record in of_split(iterate_records(records), "teacher")]
    if len(rows) < HELD_OUT:
        raise UserError(
            f"{records} has {len(rows)} records of the teacher split, and a local annotator needs {HELD_OUT} at least: "
            "raise `splits.teacher_share`, or use another `annotation.provider`"
        )
    write_jsonl(train, (row for number, own in enumerate(rows) if number % HELD_OUT for row in own))
    write_jsonl(validation, (row for own in rows[::HELD_OUT] for row in own))
    print(f"{len(rows)} records of the teacher split, each tenth for validation")


def _rows(questions: Mapping[str, str], record: Record) -> list[Json]:
    if not (record.rationale or "").strip():
        raise UserError(
            f"record {record.id} of the teacher split has no `{RATIONALE}`, which a local annotator learns to "
            "write: use another `annotation.provider`"
        )
    known = {RATIONALE: record.rationale, ANSWER: record.target}
    texts = record.texts | known
    return [{"id": record.id, "input": fill(questions[name], texts), "output": known[name]} for name in questions]
