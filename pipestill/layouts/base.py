"""The base of all layouts."""

from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
from pydantic import Field

from pipestill.answers.base import Answers
from pipestill.errors import UserError
from pipestill.io.digests import hash_of
from pipestill.io.files import fresh_directory, read_json, sha256, write_json
from pipestill.io.lock import exclusive
from pipestill.io.records import SPLITS, Json, Record, RecordFile, Split, write_jsonl
from pipestill.io.sequences import first_of_each
from pipestill.layouts.example import Example
from pipestill.settings.prompts import Prompt
from pipestill.settings.section import CleanText, Section, Seed, Share
from pipestill.text.crop import Ends, character_ends, crop_text
from pipestill.text.sentences import Splitter

RAW_MANIFEST = "manifest.json"
LANGUAGE = "language"  # a field of requests to tasks whose test sets are languages
Generated = Annotated[int, Field(ge=1, le=10**7)]  # rows


class Content(Protocol):
    """The part of a task that a layout uses: see :class:`pipestill.tasks.base.Task`."""

    name: str
    inputs: tuple[str, ...]
    answers: Answers
    parse: Callable[[Mapping[str, Any]], Example]
    synthetic: Callable[[Any, int], tuple[Any, Json]]


class SplitsOptions(Section):
    """The division of records."""

    seed: Seed = 42
    """Seed of the draw."""
    teacher_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the rest that trains the teacher and that students never see; 0: the teacher trains on the training
    split."""


class DataOptions(Section):
    """Source, checks, division and cropping of data."""

    reruns: ClassVar = {"*": "records", "rows": "download", "seed": "download", "splits": "records"}

    rows: Generated = 6000
    """Rows to generate, for `source: synthetic`."""
    seed: Seed = 1
    """Seed of the generator, for `source: synthetic`."""
    max_bad_share: Share = 0.02
    """Share of unusable rows (no label or answer, unknown label, empty text, broken JSON) above which the run stops."""
    columns: dict[str, CleanText] = {}
    """Names of columns (keys) of the raw rows by the names that the task reads, such as `{input: context}`; names that
    differ in capitals only are found without it."""
    ignored_columns: list[CleanText] = []
    """Columns that are left out on purpose, though they have the name of an input or an answer of some format."""

    @property
    def rationale_limit(self) -> int | None:
        """Units that a rationale may have; none: no limit."""
        return None

    @property
    def tokenizer(self) -> str | None:
        """Key of the model whose tokens cropping counts; none: it counts characters."""
        return None


@dataclass(frozen=True)
class Cropping:
    """Needs of cropping beside its options.

    Attributes:
        prompt: that is asked.
        ends: units that lengths are counted in, where options do not count characters.
        splitter: what finds sentences.
    """

    prompt: Prompt
    ends: Ends = character_ends
    splitter: Splitter = "sentencex"


class Layout(ABC):
    """A layout, as one task has it.

    Attributes:
        fields: what a request by hand may say beside the task's inputs.
        raw_keys: keys of the options that decide the raw data, by source.
        crop_keys: keys that decide how inputs are cropped.
        folders: whether local files may be folders.
    """

    Options: ClassVar[type[DataOptions]]
    fields: ClassVar[tuple[str, ...]] = ()
    raw_keys: ClassVar[Mapping[str, frozenset[str]]]
    crop_keys: ClassVar[frozenset[str]]
    folders: ClassVar[bool] = False

    @abstractmethod
    def check(self, options: DataOptions) -> None:
        """Refuse options that do not go together.

        Raises:
            ValueError: begins with the key, seen from the options.
        """

    @abstractmethod
    def test_sets(self, options: DataOptions) -> list[str]:
        """Names of the test sets, in order; none where records are of no test set."""

    @abstractmethod
    def local_files(self, options: DataOptions) -> dict[str, Path]:
        """Local files by the key that names them."""

    @abstractmethod
    def take(self, task: Content, options: DataOptions, beside: Path, directory: Path) -> Json:
        """Put the raw data into ``directory``, and describe them.

        Args:
            task: whose data they are.
            options: where they come from.
            beside: a path beside which fetched files wait for the others.
            directory: to write into.
        """

    @abstractmethod
    def records(self, task: Content, options: DataOptions, raw: Path, facts: Json) -> tuple[Iterable[Record], Json]:
        """Records with their splits, and what was set aside.

        Args:
            task: whose data they are.
            options: how they are checked and divided.
            raw: directory that :meth:`take` wrote.
            facts: its manifest.

        Raises:
            UserError: too many rows of a file are unusable, or a split would have too few rows.
        """

    @abstractmethod
    def crop(self, record: Record, options: DataOptions, how: Cropping) -> Record:
        """A record with cropped texts; references are never cropped."""

    @abstractmethod
    def limit(self, options: DataOptions) -> str:
        """The limit of inputs in words, with the key that raises it."""

    def examine(self, task: Content, options: DataOptions) -> str | None:
        """What local files hold, in words, as far as it can be told before a run; none where they are not looked into.

        Raises:
            UserError: they cannot be used.
        """
        return None

    def request(self, inputs: Mapping[str, str], fields: Mapping[str, str]) -> Record:
        """The record of a request by hand.

        Args:
            inputs: of the task, by name.
            fields: of :attr:`fields`, those that are given.
        """
        return Record("by hand", "test", dict(inputs), "", [])

    def fields_of(self, record: Record) -> dict[str, str]:
        """What a request by hand says beside the inputs of ``record``, to ask what it asks."""
        return {}

    def provide(self, task: Content, options: DataOptions, directory: Path) -> None:
        """Write raw data and ``manifest.json`` to ``directory``.

        What is fetched and has no digest to be checked by is said to be ``unchecked``, there and in the log. An
        interrupted fetch is continued by the next call; a call that is still at work is waited for.
        """
        with exclusive(directory), fresh_directory(directory) as temporary:
            facts = {"source": options.source, **self.take(task, options, Path(directory), temporary)}
            write_json(temporary / RAW_MANIFEST, facts)

    def crop_rationale(self, rationale: str, record: Record, options: DataOptions, how: Cropping) -> str:
        """A rationale of ``record`` as long as it may be."""
        return rationale

    def raw_options(self, options: DataOptions) -> Json:
        """Those of ``options`` that decide the raw data."""
        keys = {"source", *self.raw_keys[options.source]}
        return options.model_dump(mode="json", include=keys, exclude_none=True)

    def record_options(self, options: DataOptions) -> Json:
        """Those of ``options`` that decide how rows are read, checked and divided: all that decide nothing else."""
        return options.model_dump(mode="json", exclude={"source", *self.crop_keys}.union(*self.raw_keys.values()))

    def published(self, options: DataOptions) -> Json:
        """Facts that the project has about the published data that ``options`` name."""
        return {}

    def crop_options(self, options: DataOptions) -> Json:
        """Those of ``options`` that decide how inputs are cropped."""
        return options.model_dump(mode="json", include=self.crop_keys)

    def used(self, options: DataOptions) -> Json:
        """Those of ``options`` that decide anything."""
        return {**self.raw_options(options), **self.record_options(options), **self.crop_options(options)}

    def crop_all(
        self, records: Sequence[Record], options: DataOptions, how: Cropping, counts: Counter[str] | None = None
    ) -> Iterator[Record]:
        """Records with cropped texts and their prompts.

        Args:
            records: to crop.
            options: how long texts may be.
            how: they are cropped.
            counts: counts how many of each text were cropped.

        Raises:
            UserError: two splits share a question after cropping; known behind the last record.
        """
        questions, splits = array("Q"), array("b")
        for record in records:
            made = self.crop(record, options, how)
            if counts is not None:
                for name, text in texts_of(record).items():
                    counts[name] += texts_of(made)[name] != text
            questions.append(hash_of(made.question))
            splits.append(-1 if record.split is None else SPLITS.index(record.split))
            made.prompt = how.prompt.fill(made.inputs)
            yield made
        firsts, codes = first_of_each(np.frombuffer(questions, dtype=np.uint64)), np.frombuffer(splits, dtype=np.int8)
        for place in np.flatnonzero(codes != codes[firsts]):
            other, record = records[int(firsts[place])], records[int(place)]
            if self.crop(other, options, how).question == self.crop(record, options, how).question:
                raise UserError(
                    f"records {other.id} ({other.split}) and {record.id} ({record.split}) have the same text after "
                    f"cropping to {self.limit(options)}"
                )


def texts_of(record: Record) -> dict[str, str]:
    """Texts of a record that may be cropped, by name."""
    own = {"target": record.target, **({"rationale": record.rationale} if record.rationale is not None else {})}
    return {**record.inputs, **own}


def crop_inputs(inputs: Mapping[str, str], max_chars: int) -> dict[str, str]:
    """``inputs`` with at most ``max_chars`` characters together; the first ones are the last to be cropped."""
    cropped, left = {}, max_chars
    for name, text in inputs.items():
        cropped[name] = crop_text(text, left)
        left -= len(cropped[name])
    return cropped


def write_records(
    task: Content, layout: Layout, options: DataOptions, raw: Path, records: Path, manifest: Path
) -> None:
    """Read the directory ``raw`` and write ``records``, and a ``manifest`` of what was set aside.

    Raises:
        UserError: too many rows of a file are unusable, or a split would have too few rows.
    """
    facts = read_json(Path(raw) / RAW_MANIFEST)
    found, readings = layout.records(task, options, Path(raw), facts)
    groups: dict[Split, Counter[str | None]] = {split: Counter() for split in SPLITS}
    ids = array("q")
    write_jsonl(records, _counted(found, task.answers, groups, ids))
    _check_ids(records, np.frombuffer(ids, dtype=np.int64))
    counts = {"splits": {split: _sizes(own) for split, own in groups.items()}, "records_sha256": sha256(records)}
    write_json(manifest, {"task": task.name, "raw": facts, **readings, **counts})


def with_splits(records: Sequence[Record], codes: np.ndarray) -> Iterator[Record]:
    """``records`` with their splits, ``[records]`` of numbers of ``SPLITS``."""
    for record, code in zip(records, codes, strict=True):
        record.split = SPLITS[code]
        yield record


def _counted(
    records: Iterable[Record], answers: Answers, groups: Mapping[Split, Counter[str | None]], ids: array
) -> Iterator[Record]:
    """``records``, as they are counted by split and test set or stratum, and hashes of their ids gathered."""
    for record in records:
        ids.append(hash(record.id))
        groups[record.split][record.test_set or answers.stratum(record)] += 1
        yield record


def _check_ids(path: Path, ids: np.ndarray) -> None:
    """Refuse records with the same id: it is 64 bits of a hash of what they ask."""
    firsts, records = first_of_each(ids), RecordFile(path)
    for place in np.flatnonzero(firsts != np.arange(len(firsts))):
        first, second = records[int(firsts[place])], records[int(place)]
        if first.id == second.id:
            raise UserError(
                f"the rows in {_place(first)} and {_place(second)} get the same id by chance: change a word of "
                "one of them, or leave it out"
            )


def _place(record: Record) -> str:
    return f"line {record.meta['line']}" if "line" in record.meta else f"file {record.meta.get('file')}"


def _sizes(groups: Counter[str | None]) -> Json | int:
    """Rows of a split: by test set or by stratum where there are some."""
    return groups.total() if None in groups else dict(sorted(groups.items()))
