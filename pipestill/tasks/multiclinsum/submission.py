"""Generated summaries in the layout of the MultiClinSum challenge.

    <team>_multiclinsum_<language>_run_<number>/<document>_sum.txt

Every run of an experiment is a run of the challenge, numbered from 1 in the order of their seeds.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import fresh_directory
from pipestill.io.records import Json, Record, of_split, read_jsonl, read_records
from pipestill.io.runs import find_runs

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
ENDING = "_sum.txt"
LONGEST = 255 - len(ENDING)  # characters of a document's name, as file systems have it


@dataclass
class Submission:
    """Files by their paths, and the documents whose summary is empty."""

    files: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


def submission(predictions: Iterable[Json], records: Iterable[Record], team: str, run: int) -> Submission:
    """One run's answers to the test records, each in a file of its own.

    Args:
        predictions: rows of ``predictions.jsonl``; of several sampling seeds the first is taken.
        records: cropped records, whose ``meta.file`` is the document's name and whose ``test_set`` its language.
        team: name of the team.
        run: number of the run, from 1.

    Raises:
        UserError: a name cannot be that of a file, a document is not answered, or two have the same name.
    """
    if not re.fullmatch(NAME, team):
        raise UserError(f"`submission.team` is {team!r}: use letters, digits, dots, hyphens and underscores")
    answers: dict[str, str] = {}
    for row in predictions:
        answers.setdefault(row["id"], row["prediction"])
    made, paths = Submission(), set()  # paths in small letters, since some systems tell no others apart
    for record in of_split(records, "test"):
        name = record.meta.get("file")
        if name is None or not re.fullmatch(NAME, name) or len(name) > LONGEST:
            raise UserError(f"record {record.id} has no document name that a file could have ({name!r})")
        if record.id not in answers:
            raise UserError(f"document {name} is not answered: predict again")
        path = f"{team}_multiclinsum_{record.test_set}_run_{run}/{name}{ENDING}"
        if path.lower() in paths:
            raise UserError(f"two test documents are called {name}: the challenge cannot tell them apart")
        paths.add(path.lower())
        made.files[path] = f"{answers[record.id].strip()}\n"
        if not answers[record.id].strip():
            made.empty.append(name)
    if not made.files:
        raise UserError("there is no test document to submit a summary of")
    return made


def write_submissions(predictions: Path, records: Path, team: str, output: Path) -> Mapping[str, Submission]:
    """Write the submissions of all runs of an experiment to the directory ``output``.

    Args:
        predictions: directory with ``seed_<n>/predictions.jsonl``.
        records: the records that they answer.
        team: name of the team.
        output: directory to write.
    """
    documents, made = read_records(records), {}
    with fresh_directory(output) as directory:
        for number, (seed, run) in enumerate(find_runs(predictions).items(), 1):
            made[f"run {number} (seed {seed})"] = each = submission(
                read_jsonl(run / "predictions.jsonl"), documents, team, number
            )
            for path, text in each.files.items():
                (directory / path).parent.mkdir(exist_ok=True)
                (directory / path).write_text(text, encoding="utf-8", newline="\n")
    return made
