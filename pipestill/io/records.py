"""Records and predictions, and the JSON Lines files that hold them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipestill.errors import UserError
from pipestill.io.files import atomic_path, dump_compact
from pipestill.io.normal import normalise
from pipestill.io.parsing import BadJson, parse_json
from pipestill.io.sequences import Chosen, Stored

Split = Literal["teacher", "train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("teacher", "train", "validation", "test")

AGAIN = "make the file again"  # what to do about a broken line
Json = dict[str, Any]  # an object of a JSON file, where no type says more


@dataclass
class Line:
    """One line of a JSON Lines file, by the names of its fields; optional fields that are ``None`` are not written."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The line that ``row`` holds.

        Raises:
            UserError: a field is missing, unknown, or of another type.
        """
        names = [each.name for each in fields(cls)]
        needed = [each.name for each in fields(cls) if each.default is MISSING is each.default_factory]
        unknown, missing = ([name for name in a if name not in b] for a, b in ((row, names), (needed, row)))
        if unknown or missing:
            problem = f"has no field {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
            raise UserError(f"a {cls.__name__.lower()} {problem}; it has {', '.join(names)}")
        try:
            return _checker(cls).validate_python(dict(row))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UserError(f"`{where}` of a {cls.__name__.lower()}: {first['msg'].lower()}") from None

    def row(self) -> Json:
        """The line as JSON."""
        optional = {each.name for each in fields(self) if each.default is None}
        return {name: value for name, value in vars(self).items() if not (value is None and name in optional)}


@cache
def _checker(kind: type[Line]) -> TypeAdapter:
    return TypeAdapter(kind)


L = TypeVar("L", bound=Line)


@dataclass
class Record(Line):
    """One example of a task.

    Attributes:
        id: of the example, from its content.
        split: of the four; none before the division.
        inputs: the task's inputs by name, as models read them.
        target: the output to learn from.
        references: acceptable outputs, the gold one first; never cropped.
        test_set: name of its test set; for documents, their language in every split.
        subset: the part of its test set that it belongs to, such as a heuristic.
        prompt: the user's message, from cropping on.
        rationale: the gold one, for an annotator to learn from.
        group: that no two splits may share, such as the case of a report.
        rejected: a worse output than the target, where the data have one.
        meta: where it comes from.
    """

    id: str
    split: Split | None
    inputs: dict[str, str]
    target: str
    references: list[str]
    test_set: str | None = None
    subset: str | None = field(default=None, kw_only=True)
    rejected: str | None = field(default=None, kw_only=True)
    prompt: str | None = None
    rationale: str | None = None
    group: str | None = None
    meta: Json = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """True if it has a gold output."""
        return bool(self.references)

    @property
    def question(self) -> str:
        """Its inputs as one text, by which splits are compared."""
        return normalise("\n".join(self.inputs.values()))

    @property
    def texts(self) -> dict[str, str]:
        """Its texts by name, for gaps of the annotation's prompts."""
        own = {"id": self.id, "split": self.split, "target": self.target, "prompt": self.prompt}
        more = {"test_set": self.test_set, "rationale": self.rationale}
        return {name: text for name, text in {**own, **self.inputs, **more}.items() if text is not None}


@dataclass
class Prediction(Line):
    """The answer of one run to one record; kinds of answers add fields.

    Attributes:
        id: of the record.
        split: of the record.
        test_set: of the record.
        subset: of the record.
        prediction: the answer.
        references: of the record.
    """

    id: str
    split: Split
    test_set: str | None
    subset: str | None = field(default=None, kw_only=True)
    prediction: str
    references: list[str]

    @classmethod
    def to(cls, record: Record, prediction: str, **more: Any) -> Self:
        """The answer ``prediction`` to ``record``; ``more`` are the fields that a kind of answers adds."""
        row = (record.id, record.split, record.test_set, prediction, record.references)
        return cls(*row, subset=record.subset, **more)


@contextmanager
def line_writer(path: Path) -> Iterator[Callable[[Mapping[str, Any] | Line], None]]:
    """Gives what writes a row; ``path`` is there when the block ends well."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:

        def write(row: Mapping[str, Any] | Line) -> None:
            file.write(f"{dump_compact(row.row() if isinstance(row, Line) else row)}\n")

        yield write


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any] | Line]) -> None:
    """Write ``rows`` to ``path`` in one step."""
    with line_writer(path) as write:
        for row in rows:
            write(row)


def read_jsonl(path: Path) -> list[Json]:
    """All rows of ``path``.

    Raises:
        UserError: the file is missing, or a line is not a JSON object; the message names the line.
    """
    return list(iterate_jsonl(path))


def iterate_jsonl(path: Path) -> Iterator[Json]:
    """Rows of ``path`` one by one; raises like :func:`read_jsonl`."""
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            yield _json_of(path, number, line)


def _opened(path: Path) -> BinaryIO:
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist")
    return open(path, "rb")  # bytes, of which only \n ends a line


def _json_of(path: Path, number: int, line: bytes) -> Json:
    where = f"{path}, line {number}"
    try:
        row = parse_json(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{where}: not UTF-8 text") from None
    except BadJson as error:
        raise UserError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise UserError(f"{where}: a JSON object is expected, not {type(row).__name__}")
    return row


def iterate_lines(path: Path, kind: type[L], again: str) -> Iterator[L]:
    """The lines of ``path`` as ``kind``, one by one.

    Args:
        path: a JSON Lines file.
        kind: of its lines.
        again: what to do about a line that is none, as the message says it.

    Raises:
        UserError: the file is missing or broken; the message names the line.
    """
    for number, row in enumerate(iterate_jsonl(path), 1):
        yield _line_of(path, number, row, kind, again)


def _line_of(path: Path, number: int, row: Json, kind: type[L], again: str) -> L:
    try:
        return kind.of(row)
    except UserError as error:
        raise UserError(f"{path}, line {number}: {error}; {again}") from None


def iterate_records(path: Path) -> Iterator[Record]:
    """The records of ``path`` one by one; raises like :func:`iterate_lines`."""
    return iterate_lines(path, Record, AGAIN)


class JsonFile(Stored[Json]):
    """The rows of ``path``, each read when it is asked for; raises like :func:`iterate_jsonl` as it is read."""

    def __init__(self, path: Path):
        super().__init__(_opened(path), partial(_json_of, path))


class LineFile(Stored[L]):
    """The lines of ``path`` as ``kind``, each read when it is asked for; arguments and errors are those of
    :func:`iterate_lines`."""

    def __init__(self, path: Path, kind: type[L], again: str):
        def read(number: int, line: bytes) -> L:
            return _line_of(path, number, _json_of(path, number, line), kind, again)

        super().__init__(_opened(path), read)


class RecordFile(LineFile[Record]):
    """The records of ``path``, each read when it is asked for."""

    def __init__(self, path: Path):
        super().__init__(path, Record, AGAIN)


def read_records(path: Path) -> list[Record]:
    """All records of ``path``; raises like :func:`iterate_records`."""
    return list(iterate_records(path))


def count_lines(path: Path) -> int:
    """Rows of ``path``; raises like :func:`read_jsonl`."""
    return sum(1 for _ in iterate_jsonl(path))


def of_split(records: Iterable[Record], split: Split) -> list[Record]:
    """The records of one split, in order."""
    return [record for record in records if record.split == split]


def by_split(records: Sequence[Record]) -> dict[Split, Chosen[Record]]:
    """The records of each split, in order, which are read when they are asked for."""
    codes = np.fromiter((SPLITS.index(record.split) for record in records), np.int8, len(records))
    return {split: Chosen(records, np.flatnonzero(codes == code)) for code, split in enumerate(SPLITS)}
