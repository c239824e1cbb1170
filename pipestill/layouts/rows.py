"""One file that is divided into all splits; where answers have strata, test and validation are equal per stratum."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import ClassVar, Literal

import numpy as np
from pydantic import model_validator

from pipestill.answers.base import Answers
from pipestill.answers.strata import strata_of
from pipestill.errors import UserError
from pipestill.io.files import dump_compact, write_text
from pipestill.io.records import SPLITS, Json, Record
from pipestill.io.sequences import shuffled
from pipestill.layouts.base import Content, Cropping, DataOptions, Layout, SplitsOptions, crop_inputs, with_splits
from pipestill.layouts.raw import read_rows
from pipestill.layouts.reading import Reading, read_examples
from pipestill.layouts.tables import TableRows
from pipestill.layouts.taking import identity, take_files
from pipestill.settings.data import FileConfig, Sha256
from pipestill.settings.places import Address, LocalPath
from pipestill.settings.section import Count, Part

SIZES = {"test": "test", "val": "validation"}  # how keys of `splits` begin, and the split


class RowsSplits(SplitsOptions):
    """Test and validation rows are drawn first, equal per class in a task with classes; the rest is for training."""

    test_rows: Count | None = None
    """Test rows, equal per class; or give `test_frac`."""
    test_frac: Part | None = None
    """Test rows as a share of all rows, equal per class."""
    val_rows: Count | None = None
    """Validation rows, equal per class; or give `val_frac`."""
    val_frac: Part | None = None
    """Validation rows as a share of all rows, equal per class."""

    @model_validator(mode="after")
    def _one_size_each(self):
        for split in SIZES:
            if getattr(self, f"{split}_rows") is not None and getattr(self, f"{split}_frac") is not None:
                raise ValueError(f"give either `{split}_rows` or `{split}_frac`")
        return self


class RowsData(DataOptions):
    """One file of rows."""

    reruns: ClassVar = {"*": "download", "max_chars": "prompts"}

    source: Literal["synthetic", "file", "url"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `file`: a local file; `url`: http(s):// or file://."""
    path: LocalPath | None = None
    """The file, for `source: file`."""
    url: Address | None = None
    """The address, for `source: url`."""
    sha256: Sha256 | None = None
    """Digest that the data must have; recorded, not checked, when absent."""
    max_chars: Count = 2000
    """Inputs longer than this many characters together are cropped at a word boundary, the last ones first."""
    splits: RowsSplits = RowsSplits()
    """The division into teacher, train, validation and test rows."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        for source, key in (("file", "path"), ("url", "url")):
            if self.source == source and not getattr(self, key):
                raise ValueError(f"`source: {source}` needs `{key}`")
        return self


class Rows(Layout):
    """One file of rows."""

    Options: ClassVar = RowsData
    raw_keys: ClassVar[Mapping[str, frozenset[str]]] = {
        "synthetic": frozenset({"rows", "seed"}),
        "file": frozenset({"path", "sha256"}),
        "url": frozenset({"url", "sha256"}),
    }
    crop_keys: ClassVar[frozenset[str]] = frozenset({"max_chars"})
    raw_name: ClassVar[str] = "data.json"

    def read(self, path: Path, name: str) -> TableRows:
        """Rows of the file, which a refusal calls ``name``, with their line numbers."""
        return read_rows(path)

    def check(self, options: RowsData) -> None:
        """Test and validation need a size."""
        for split in SIZES:
            if getattr(options.splits, f"{split}_rows") is None and getattr(options.splits, f"{split}_frac") is None:
                raise ValueError(f"splits: give either `{split}_rows` or `{split}_frac`")
        _check_room(options)

    def test_sets(self, options: RowsData) -> list[str]:
        """None."""
        return []

    def local_files(self, options: RowsData) -> dict[str, Path]:
        """The file, if it is local."""
        return {"path": Path(options.path)} if options.source == "file" else {}

    def take(self, task: Content, options: RowsData, beside: Path, directory: Path) -> Json:
        """Write the one file."""
        data = directory / self.raw_name
        if options.source == "synthetic":
            rows, facts = task.synthetic(options.rows, options.seed)
            lines = ",\n".join(dump_compact(row) for row in rows)
            write_text(data, f"[\n{lines}\n]\n")
            origin = f"generator of {task.name}, {options.rows} rows, seed {options.seed}"
            return {"origin": origin, **identity(data), **facts}
        place = {"path": options.path} if options.source == "file" else {"url": options.url}
        return take_files({data: FileConfig(sha256=options.sha256, **place)}, beside)[data]

    def records(self, task: Content, options: RowsData, raw: Path, facts: Json) -> tuple[Iterator[Record], Json]:
        """See :meth:`Layout.records`."""
        path = raw / self.raw_name
        name = facts.get("origin", str(path))
        reading = self.checked(task, options, self.read(path, name), name)
        splits = divide(reading.records, task.answers, options.splits)
        print(reading.summary("", 0, "rows"))
        return with_splits(reading.records, splits), reading.manifest()

    def checked(self, task: Content, options: RowsData, rows: TableRows, name: str) -> Reading:
        """What rows of the file ``name`` hold.

        Raises:
            UserError: too many are unusable, or a column is missing.
        """
        reading = read_examples(task, rows, columns=options.columns)
        reading.check(options, name)
        return reading

    def crop(self, record: Record, options: RowsData, how: Cropping) -> Record:
        """Inputs are cropped."""
        return Record(**{**vars(record), "inputs": crop_inputs(record.inputs, options.max_chars)})

    def limit(self, options: RowsData) -> str:
        """Of characters."""
        return f"{options.max_chars} characters; raise `max_chars`"


def _check_room(options: RowsData) -> None:
    """Refuse test and validation rows that leave none to train on, where this is known before the data are."""
    splits, made = options.splits, options.rows if options.source == "synthetic" else None
    shares = sum(getattr(splits, f"{key}_frac") or 0 for key in SIZES)
    rows = sum(getattr(splits, f"{key}_rows") or 0 for key in SIZES)
    if shares >= 1 or (made and rows + shares * made >= made):
        have = f" of {made} rows" if made else ""
        raise ValueError(f"splits: test and validation{have} leave nothing to train on; ask for fewer")


def divide(records: Sequence[Record], answers: Answers, splits: RowsSplits) -> np.ndarray:
    """The split of every record, ``[records]`` of numbers of ``SPLITS``.

    Test and validation are equal per stratum, the rest is for teacher and train.

    Raises:
        UserError: a stratum has too few rows, or a split would have none.
    """
    strata = answers.strata
    own = strata_of(records, answers)
    sizes = {split: _size(splits, key, len(records), len(strata)) for key, split in SIZES.items()}
    codes = np.empty(len(records), dtype=np.int8)
    for number, stratum in enumerate(strata):
        members = np.flatnonzero(own == number)
        which = "the data have" if stratum is None else f"class {stratum!r} has"
        rest = len(members) - sum(sizes.values())
        if rest < 1:
            raise UserError(
                f"{which} {len(members)} rows: too few for {sizes['test']} test and {sizes['validation']} validation "
                "rows and some to train on; ask for fewer"
            )
        n_teacher = round(splits.teacher_share * rest)
        if n_teacher == rest or (splits.teacher_share > 0 and n_teacher == 0):
            raise UserError(
                f"{which} {len(members)} rows: after test and validation {n_teacher} are left to train the teacher and "
                f"{rest - n_teacher} to train students; change `teacher_share` {splits.teacher_share:g}, or ask for "
                "fewer test and validation rows"
            )
        members = shuffled(members, Random(f"splits {splits.seed} {stratum}"))
        ends = np.cumsum([n_teacher, rest - n_teacher, sizes["validation"]])
        for split, part in zip(("teacher", "train", "validation", "test"), np.split(members, ends), strict=True):
            codes[part] = SPLITS.index(split)
    return codes


def _size(splits: RowsSplits, key: str, n_rows: int, n_strata: int) -> int:
    """Rows of a split in each stratum."""
    rows, share = getattr(splits, f"{key}_rows"), getattr(splits, f"{key}_frac")
    size = rows // n_strata if rows is not None else round(share * n_rows / n_strata)
    if size == 0:
        asked = f"`{key}_rows` {rows}" if rows is not None else f"`{key}_frac` {share:g} of {n_rows} rows"
        raise UserError(f"{asked} is none for each of {n_strata} classes; raise it")
    return size
