"""A training file, a validation file or rows set aside for it, and a file for each test set."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from pipestill.errors import UserError
from pipestill.io.records import SPLITS, Json, Record, write_jsonl
from pipestill.io.sequences import Chosen, shuffled
from pipestill.layouts.base import (
    Content,
    Cropping,
    DataOptions,
    Generated,
    Layout,
    SplitsOptions,
    crop_inputs,
    with_splits,
)
from pipestill.layouts.raw import read_rows
from pipestill.layouts.reading import read_examples
from pipestill.layouts.taking import identity, take_rows
from pipestill.settings.data import RowsFile
from pipestill.settings.section import Count, Distinct, Name

RAW_ROLE = "{role}.jsonl"


class TestSetsSplits(SplitsOptions):
    """Test sets have files of their own; the training file is divided."""

    val_rows: Count | None = None
    """Validation rows out of the training file; or give a validation file."""
    val_draw: Literal["random", "first"] = "random"
    """Choice of the `val_rows`: drawn at random, or the first of the file, as published splits do."""


class TestSetsData(DataOptions):
    """A training file and a file for each test set."""

    reruns: ClassVar = {"*": "download", "max_chars": "prompts"}

    source: Literal["synthetic", "files"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `files`: local files or addresses."""
    files: dict[Name, RowsFile] = {}
    """The files, for `source: files`, by what they are: `train`, `validation` (or give `splits.val_rows`) and the names
    of test sets."""
    test_sets: Annotated[list[Name], Field(min_length=1), Distinct] | None = None
    """Test sets to take; all of the task's when absent."""
    test_rows: Generated = 500
    """Rows to generate of each test set; `rows` are those to train and validate on."""
    max_chars: Count = 2000
    """Inputs longer than this many characters together are cropped at a word boundary, the last ones first."""
    splits: TestSetsSplits = TestSetsSplits()
    """The division into teacher, train and validation rows."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        if self.source == "files" and not self.files:
            raise ValueError("`source: files` needs `files`")
        return self


@dataclass(frozen=True)
class TestSets(Layout):
    """A training file and a file for each test set.

    Attributes:
        names: of the test sets, in order.
    """

    names: tuple[str, ...]

    Options: ClassVar = TestSetsData
    raw_keys: ClassVar[Mapping[str, frozenset[str]]] = {
        "synthetic": frozenset({"rows", "test_rows", "seed", "test_sets"}),
        "files": frozenset({"files", "test_sets"}),
    }
    crop_keys: ClassVar[frozenset[str]] = frozenset({"max_chars"})

    def check(self, options: TestSetsData) -> None:
        """Test sets and files must be known, and each role must have a file."""
        for name in options.test_sets or ():
            if name not in self.names:
                raise ValueError(f"test_sets: `{name}` is none of {', '.join(self.names)}")
        roles, known = self.roles(options), ("train", "validation", *self.names)
        if ("validation" in roles) == (options.splits.val_rows is not None):
            raise ValueError("splits: give either `val_rows` or a validation file under `files`")
        if options.source != "files":
            if (options.splits.val_rows or 0) >= options.rows:
                raise ValueError(f"splits: `val_rows` of {options.rows} rows leave nothing to train on; ask for fewer")
            return
        for role in options.files:
            if role not in known:
                raise ValueError(f"files: `{role}` is none of {', '.join(known)}")
        for role in roles:
            if role not in options.files:
                raise ValueError(f"files: `{role}` is missing; give its `path` or `url`, or list other `test_sets`")

    def test_sets(self, options: TestSetsData) -> list[str]:
        """Those that are taken, in the task's order."""
        return [name for name in self.names if options.test_sets is None or name in options.test_sets]

    def roles(self, options: TestSetsData) -> list[str]:
        """Roles of the raw files: test sets, `validation` where it has a file, `train`."""
        validation = ["validation"] if options.source == "files" and "validation" in options.files else []
        return [*self.test_sets(options), *validation, "train"]

    def local_files(self, options: TestSetsData) -> dict[str, Path]:
        """Those with a path."""
        files = options.files if options.source == "files" else {}
        return {f"files.{role}.path": Path(file.path) for role, file in files.items() if file.path is not None}

    def take(self, task: Content, options: TestSetsData, beside: Path, directory: Path) -> Json:
        """Write a file for each role."""
        paths = {role: directory / RAW_ROLE.format(role=role) for role in self.roles(options)}
        if options.source == "files":
            taken = take_rows({path: options.files[role] for role, path in paths.items()}, beside)
            described = {
                role: {**taken[path], **options.files[role].model_dump(include={"limit"}, exclude_none=True)}
                for role, path in paths.items()
            }
            return {"origin": ", ".join(file["origin"] for file in described.values()), "files": described}
        sizes = {role: options.rows if role == "train" else options.test_rows for role in paths}
        rows, facts = task.synthetic(sizes, options.seed)
        for role, path in paths.items():
            write_jsonl(path, rows[role])
        counts = ", ".join(f"{size} {role}" for role, size in sizes.items())
        origin = f"generator of {task.name}, rows: {counts}, seed {options.seed}"
        return {"origin": origin, "files": {role: identity(path) for role, path in paths.items()}, **facts}

    def records(self, task: Content, options: TestSetsData, raw: Path, facts: Json) -> tuple[Iterator[Record], Json]:
        """See :meth:`Layout.records`; what one file asks is dropped from the next: test sets, validation, train."""
        found: list[Iterator[Record]] = []
        taken = np.empty(0, dtype=np.uint64)  # questions of other splits
        readings = {}
        for role in sorted(facts["files"], key=lambda role: (role == "train", role == "validation")):
            test_set = role if role in self.names else None
            path, limit = raw / RAW_ROLE.format(role=role), facts["files"][role].get("limit")
            reading = read_examples(task, itertools.islice(read_rows(path), limit), test_set, options.columns)
            reading.check(options, facts["files"][role].get("origin", str(path)))
            usable, questions = reading.records, reading.questions
            own = np.ones(len(usable), dtype=bool) if test_set else ~np.isin(questions, taken)
            kept = Chosen(usable, np.flatnonzero(own))
            if not kept:
                raise UserError(
                    f"{role}: none of {reading.rows} rows is left: {reading.unusable} are unusable, "
                    f"{reading.left_out.total()} are none of the task's, {len(usable)} are rows of other splits"
                )
            taken = np.union1d(taken, questions[own])
            if role == "train":
                splits = divide(len(kept), options.splits)
            else:
                code = SPLITS.index("test" if test_set else "validation")
                splits = np.full(len(kept), code, dtype=np.int8)
            overlapping = len(usable) - len(kept)
            readings[role] = {**reading.manifest(), "rows_of_other_splits": overlapping}
            print(reading.summary(f"{role}: ", overlapping, "rows"))
            found.append(with_splits(kept, splits))
        return itertools.chain.from_iterable(found), {"files": readings}

    def crop(self, record: Record, options: TestSetsData, how: Cropping) -> Record:
        """Inputs are cropped."""
        return Record(**{**vars(record), "inputs": crop_inputs(record.inputs, options.max_chars)})

    def limit(self, options: TestSetsData) -> str:
        """Of characters."""
        return f"{options.max_chars} characters; raise `max_chars`"


def divide(rows: int, splits: TestSetsSplits) -> np.ndarray:
    """The split of each of the ``rows`` of a training file, as numbers of ``SPLITS``: ``val_rows`` for validation, the
    rest to teacher and train.

    Raises:
        UserError: a split would have no rows.
    """
    n_validation = splits.val_rows or 0
    rest = rows - n_validation
    if rest < 1:
        raise UserError(
            f"the training file has {rows} usable rows: too few for {n_validation} validation rows and some to "
            "train on; lower `val_rows`"
        )
    n_teacher = round(splits.teacher_share * rest)
    if n_teacher == rest or (splits.teacher_share > 0 and n_teacher == 0):
        raise UserError(
            f"of {rest} training rows {n_teacher} are left to train the teacher and {rest - n_teacher} to train "
            f"students; change `teacher_share` {splits.teacher_share:g}, or give more rows"
        )
    order, rng = np.arange(rows), Random(f"splits {splits.seed}")
    if splits.val_draw == "random":
        order = shuffled(order, rng)
    others = shuffled(order[n_validation:], rng)
    codes = np.empty(rows, dtype=np.int8)
    parts = {"validation": order[:n_validation], "teacher": others[:n_teacher], "train": others[n_teacher:]}
    for split, part in parts.items():
        codes[part] = SPLITS.index(split)
    return codes
