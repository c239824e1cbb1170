"""Archives, folders and tables of documents: read file by file, divided by case, cropped where a sentence ends."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from pipestill.errors import UserError
from pipestill.io.archives import members, write_archive
from pipestill.io.records import Json, Record
from pipestill.layouts.base import LANGUAGE, Content, Cropping, DataOptions, Layout
from pipestill.layouts.cases import DocumentSplits, case_of, divide_cases, split_off_teacher
from pipestill.layouts.example import BadRow
from pipestill.layouts.pairs import SUFFIXES, read_pairs
from pipestill.layouts.published import published_datasets
from pipestill.layouts.reading import LISTED, Reading, read_examples
from pipestill.layouts.taking import identity, take_files
from pipestill.settings.data import FileConfig
from pipestill.settings.section import Count, Distinct, Name, Section
from pipestill.text.crop import crop_document
from pipestill.text.sentences import split_sentences

FETCHED = (".zip", *SUFFIXES)  # how names of what is fetched end
# What a file's documents are for, in the order in which they are taken: what is in one use is dropped from the next.
USES = ("test", "validation", "divide", "train")


@dataclass
class Found:
    """Content of an archive or a folder: each document's name and its raw row, or the reason why there is none; and
    the files that were not read."""

    rows: list[tuple[str, Json | BadRow]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


class DocumentFile(FileConfig):
    """An archive, a folder or a table of documents."""

    use: Literal["divide", "train", "validation", "test"] | None = None
    """Use of the documents: `divide` them among all splits, or only one split. When absent: the split that the file is
    named after (`train`, `validation`, `test`), else `divide`."""

    def use_of(self, name: str) -> str:
        """Use of its documents, if its name is ``name``."""
        return self.use or (name if name in ("train", "validation", "test") else "divide")


class CropConfig(Section):
    """Limits of the lengths of documents."""

    unit: Literal["chars", "tokens"] = "chars"
    """Unit of the limits."""
    tokenizer: Name | None = None
    """The key of `models` whose tokens are counted."""
    boundary: Literal["none", "word", "sentence"] = "sentence"
    """Ends of cropped texts: anywhere, between words, or between sentences (words if not even the first one fits)."""
    text: Count | None = None
    """Units that an input may have; no limit when absent."""
    target: Count | None = None
    """Units that an output to learn from may have; references are never cropped."""
    rationale: Count | None = None
    """Units that a rationale may have."""
    test_texts: bool = True
    """Crop the inputs of test rows too."""

    @model_validator(mode="after")
    def _tokens_have_a_tokenizer(self):
        if (self.unit == "tokens") != (self.tokenizer is not None):
            raise ValueError("`unit: tokens` needs `tokenizer`, a key of `models`, and `unit: chars` has no use for it")
        return self


class DocumentsData(DataOptions):
    """Archives, folders and tables of documents."""

    reruns: ClassVar = {"*": "download", "crop": "prompts challenge"}

    source: Literal["synthetic", "files", "published"] = "synthetic"
    """`synthetic`: the project's own seeded generator; `files`: local files, folders or addresses; `published`:
    `datasets`."""
    files: dict[Name, DocumentFile] = {}
    """Zip archives, folders or tables (.jsonl, .json, .csv, .tsv) of any name, for `source: files`."""
    datasets: Annotated[list[Name], Distinct] = []
    """Names in `resources/datasets.yaml`, for `source: published`."""
    crop: CropConfig = CropConfig()
    """Limits of the lengths of documents."""
    splits: DocumentSplits = DocumentSplits()
    """The division into teacher, train, validation and test documents."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        for source, key in (("files", "files"), ("published", "datasets")):
            if self.source == source and not getattr(self, key):
                raise ValueError(f"`source: {source}` needs `{key}`")
        self.all_files()
        return self

    @property
    def rationale_limit(self) -> int | None:
        """As cropping has it."""
        return self.crop.rationale

    @property
    def tokenizer(self) -> str | None:
        """As cropping has it."""
        return self.crop.tokenizer

    def all_files(self) -> dict[str, DocumentFile]:
        """The files by name; of published datasets, those that they consist of."""
        if self.source != "published":
            return self.files
        known = published_datasets()
        for name in self.datasets:
            if name not in known:
                raise ValueError(f"datasets: `{name}` is none of {', '.join(known)}")
        keys = ("url", "sha256", "use")
        facts = {name: {key: known[name][key] for key in keys if known[name].get(key)} for name in self.datasets}
        return {name: DocumentFile(**entry) for name, entry in facts.items()}


@dataclass(frozen=True)
class Documents(Layout):
    """Texts in files of their own, in several languages, each language being a test set.

    Attributes:
        languages: ISO 639-1 codes, in the order of the test sets.
        read: an archive or folder to its documents; ``answered`` says whether one without gold output is unusable.
        write: generated rows to archives in a directory.
    """

    languages: tuple[str, ...]
    read: Callable[..., Found]
    write: Callable[[Iterable[Mapping[str, Any]], Path], list[Path]]

    Options: ClassVar = DocumentsData
    fields: ClassVar[tuple[str, ...]] = (LANGUAGE,)
    raw_keys: ClassVar[Mapping[str, frozenset[str]]] = {
        "synthetic": frozenset({"rows", "seed"}),
        "files": frozenset({"files"}),
        "published": frozenset({"datasets"}),
    }
    crop_keys: ClassVar[frozenset[str]] = frozenset({"crop"})
    folders: ClassVar[bool] = True

    def check(self, options: DocumentsData) -> None:
        """Files must be of a known kind, and every split must have a source."""
        uses = set()
        for name, file in options.all_files().items():
            if file.url and file.suffix not in FETCHED:
                raise ValueError(f"files.{name}.url: it ends in none of {', '.join(FETCHED)}")
            uses.add(file.use_of(name))
        _check_shares(options.splits, uses or {"divide"})

    def test_sets(self, options: DocumentsData) -> list[str]:
        """The languages."""
        return list(self.languages)

    def published(self, options: DocumentsData) -> Json:
        """Where the data sets lie, and what they are for."""
        files = options.all_files() if options.source == "published" else {}
        return {name: file.model_dump(exclude_none=True) for name, file in files.items()}

    def local_files(self, options: DocumentsData) -> dict[str, Path]:
        """Those with a path."""
        files = options.files if options.source == "files" else {}
        return {f"files.{name}.path": Path(file.path) for name, file in files.items() if file.path is not None}

    def take(self, task: Content, options: DocumentsData, beside: Path, directory: Path) -> Json:
        """Write an archive or table for each file."""
        if options.source == "synthetic":
            rows, facts = task.synthetic(options.rows, options.seed)
            origin = f"generator of {task.name}, {options.rows} rows, seed {options.seed}"
            written = {path.stem: path for path in self.write(rows, directory)}
            described = {
                name: {"file": path.name, "use": "divide", "origin": origin, **identity(path)}
                for name, path in written.items()
            }
            return {"origin": origin, "files": described, **facts}
        described = take_documents(options.all_files(), directory, beside)
        return {"origin": ", ".join(file["origin"] for file in described.values()), "files": described}

    def records(self, task: Content, options: DocumentsData, raw: Path, facts: Json) -> tuple[list[Record], Json]:
        """See :meth:`Layout.records`."""
        splits = options.splits
        found: list[Record] = []
        readings: dict[str, Json] = {}
        questions: set[str] = set()
        for use in USES:
            taken = {case_of(record, splits) for record in found if record.split != "train"}  # cases of held-out splits
            members: list[Record] = []
            for name, file in sorted(facts["files"].items()):
                if file["use"] == use:
                    reading, ignored = self._read(task, raw / file["file"], file.get("limit"), options.columns)
                    reading.check(options, file["origin"])
                    kept = []
                    for record in reading.records:
                        if record.question not in questions and case_of(record, splits) not in taken:
                            questions.add(record.question)
                            kept.append(record)
                    members += kept
                    others = len(reading.records) - len(kept)
                    readings[name] = {
                        **reading.manifest(),
                        "documents_of_other_files": others,
                        "ignored_files": len(ignored),
                        "ignored_files_listed": ignored[:LISTED],
                    }
                    print(f"{reading.summary(f'{name}: ', others, 'documents')}, {len(ignored)} files ignored")
            if use == "divide" and members:
                divide_cases(members, splits)
            for record in members:
                record.split = record.split or use
            found += members
        split_off_teacher(found, splits)
        for record in found:
            if record.split not in ("teacher", "validation"):
                record.rationale = None  # gold ones are for the annotator; students learn from what it says
        return found, {"files": readings, "cases": len({case_of(record, splits) for record in found})}

    def unanswered(self, task: Content, source: Path) -> list[Record]:
        """Test records of documents whose gold output is held back: no target, no references.

        Raises:
            UserError: ``source`` cannot be read, or holds an unusable document.
        """
        records = []
        for name, row in self.read(source, answered=False).rows:
            if isinstance(row, BadRow) or not row["input"]:
                raise UserError(f"{source}: {name} cannot be used ({row if isinstance(row, BadRow) else 'empty text'})")
            inputs, language = {task.inputs[0]: row["input"]}, row["language"]
            meta = {"file": name, "language": language}
            records.append(Record(name, "test", inputs, "", [], test_set=language, meta=meta))
        return records

    def crop(self, record: Record, options: DocumentsData, how: Cropping) -> Record:
        """Inputs, target and rationale are cropped; of a test record the inputs alone, and only if options say so."""
        crop, changed = options.crop, Record(**vars(record))
        if record.split != "test" or crop.test_texts:
            changed.inputs = {
                name: _cropped(text, crop.text, record, crop, how) for name, text in record.inputs.items()
            }
        if record.split != "test":
            changed.target = _cropped(record.target, crop.target, record, crop, how)
            changed.rationale = record.rationale and self.crop_rationale(record.rationale, record, options, how)
        return changed

    def crop_rationale(self, rationale: str, record: Record, options: DocumentsData, how: Cropping) -> str:
        """As options say."""
        return _cropped(rationale, options.crop.rationale, record, options.crop, how)

    def crop_all(
        self,
        records: Sequence[Record],
        options: DocumentsData,
        how: Cropping,
        counts: Counter[str] | None = None,
    ) -> Iterator[Record]:
        """See :meth:`Layout.crop_all`; what is missing to find sentences is missed first, not after training."""
        for language in {record.test_set for record in records}:
            split_sentences("", language, how.splitter)
        yield from super().crop_all(records, options, how, counts)

    def limit(self, options: DocumentsData) -> str:
        """Of what is counted."""
        return f"{options.crop.text} {options.crop.unit}; raise `crop.text`"

    def request(self, inputs: Mapping[str, str], fields: Mapping[str, str]) -> Record:
        """A document in the language that the request names, or else in the first."""
        language = fields.get(LANGUAGE) or self.languages[0]
        if language not in self.languages:
            raise UserError(f"there is no language `{language}`; there are {', '.join(self.languages)}")
        return Record("by hand", "test", dict(inputs), "", [], test_set=language)

    def fields_of(self, record: Record) -> dict[str, str]:
        """Its language."""
        return {LANGUAGE: record.test_set}

    def _read(
        self, task: Content, path: Path, limit: int | None, columns: Mapping[str, str]
    ) -> tuple[Reading, list[str]]:
        found = Found() if path.suffix in SUFFIXES else self.read(path)
        rows: Iterator[tuple[int | str, Any]] = read_pairs(path) if path.suffix in SUFFIXES else iter(found.rows)
        return read_examples(task, itertools.islice(rows, limit), columns=columns), found.ignored


def _cropped(text: str, limit: int | None, record: Record, crop: CropConfig, how: Cropping) -> str:
    return crop_document(text, limit, record.test_set, crop.boundary, how.ends, how.splitter)


def _check_shares(splits: DocumentSplits, uses: set[str]) -> None:
    """Every split must have a source: a share of the cases that are divided, or files of its own."""
    for split, key in (("test", "test_frac"), ("validation", "val_frac")):
        if split in uses:
            continue
        if "divide" not in uses:
            raise ValueError(f"files: none is for {split}, and none is divided")
        if getattr(splits, key) is None:
            raise ValueError(f"splits: give `{key}`, or a file for {split}")
    if not uses & {"divide", "train"}:
        raise ValueError("files: none is for training")
    if (splits.test_frac or 0) + (splits.val_frac or 0) >= 1:
        raise ValueError("splits: `test_frac` and `val_frac` leave nothing to train on")


def take_documents(wanted: Mapping[str, DocumentFile], target: Path, beside: Path) -> dict[str, Json]:
    """Put archives and tables into the directory ``target``, folders as archives, and describe each by its name.

    Args:
        wanted: files by name.
        target: directory to put them into.
        beside: a path beside which fetched files wait for the others.

    Raises:
        UserError: a file is missing, cannot be fetched, or has another digest.
    """
    described, paths = {}, {}
    for name, file in wanted.items():
        folder = file.path is not None and Path(file.path).is_dir()
        paths[name] = target / f"{name}{'.zip' if folder else file.suffix}"
        if folder:
            if file.sha256:
                raise UserError(f"files.{name}: {file.path} is a folder, which has no sha256 to check; remove the key")
            described[name] = _pack(Path(file.path), paths[name])
    taken = take_files({path: wanted[name] for name, path in paths.items() if name not in described}, beside)
    return {
        name: {
            "file": paths[name].name,
            "use": file.use_of(name),
            **file.model_dump(include={"limit"}),
            **(described.get(name) or taken[paths[name]]),
        }
        for name, file in wanted.items()
    }


def _pack(folder: Path, path: Path) -> Json:
    """Put the text files of ``folder`` into an archive, and say what was left out."""
    found = list(members(folder))
    write_archive(path, ((member.name, member.content) for member in found if member.content is not None))
    left_out = [member.name for member in found if member.content is None]
    return {"origin": str(folder), "left_out": left_out, **identity(path)}
